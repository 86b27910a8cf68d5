import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import type { VerbName } from './verbs.ts'

type Run<Name extends VerbName> = (invocation: Invocation<Name>, host: Host) => number | Promise<number>

/** Verbs are loaded when they run: a render needs no linter. */
const LOADERS: { readonly [Name in Exclude<VerbName, 'completion'>]: () => Promise<{ readonly run: Run<Name> }> } = {
  init: () => import('./verbs/init.ts'),
  validate: () => import('./verbs/validate.ts'),
  render: () => import('./verbs/render.ts'),
  diff: () => import('./verbs/diff.ts'),
  plan: () => import('./verbs/plan.ts'),
  explain: () => import('./verbs/explain.ts'),
  graph: () => import('./verbs/graph.ts'),
  schema: () => import('./verbs/schema.ts'),
  check: () => import('./verbs/check.ts'),
  up: () => import('./verbs/up.ts'),
  apply: () => import('./verbs/apply.ts'),
  lock: () => import('./verbs/lock.ts'),
  watch: () => import('./verbs/watch.ts'),
}

/** Carries out a command. Gives the exit code; what cannot be done is thrown. */
export async function runVerb<Name extends Exclude<VerbName, 'completion'>>(
  verb: Name,
  invocation: Invocation<Name>,
  host: Host,
): Promise<number> {
  const { run } = await LOADERS[verb]()
  return run(invocation, host)
}
