import { accessSync, constants, readFileSync, readlinkSync } from 'node:fs'
import { ApplyError, applyToContainer } from '../../../runtime/apply/apply-to-container.ts'
import { isQuiet, type ServiceChanges, serviceChanges } from '../../../runtime/apply/service-changes.ts'
import { loadPlan } from '../../../runtime/shared/load-plan.ts'
import { isScanned } from '../../../runtime/shared/service-control.ts'
import type { Plan } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { applyTree } from '../../write/apply.ts'
import type { Change } from '../../write/compare.ts'
import { compileTree } from '../compile-tree.ts'
import { complaint, EXIT, failure } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { changeList } from '../render-report.ts'
import { sayFindings } from '../say-findings.ts'

/** Where the boot noted which tree it runs (rootfs/usr/lib/machinegen/specialise.sh). */
const LIVE_ROOT = '/run/machinegen/root'
const MACHINE_FILE = '/etc/machinegen/machine.yaml'

/** `apply`: makes the machine that runs in this container the one of its machine file, as it is now. */
export async function run({ words, values }: Invocation<'apply'>, host: Host): Promise<number> {
  const root = liveRoot()
  const running = loadPlan(`${root === '/' ? '' : root}/etc/machinegen/plan.json`)
  if (!isScanned(running.paths.services)) {
    throw failure(EXIT.system, `cannot apply: no supervisor runs in "${running.paths.services}"`, 'start the container')
  }
  const request = {
    words: words.length + values.file.length > 0 ? words : machineFiles(host),
    values: {
      ...values,
      env: true,
      target: 'container' as const,
      simulate: running.simulate,
      'port-offset': undefined,
      'state-dir': undefined,
      gpus: values.gpus ?? gpusOf(host, running),
      root: root === '/' ? undefined : root,
      out: root,
    },
  }
  const tree = compileTree(request, host)
  sayFindings(host, tree, values.format)
  if (tree.artifacts === null || tree.plan === null) return EXIT.findings
  const options = { outputDirectory: root, artifacts: tree.artifacts, inputs: tree.inputs, force: true }
  const seen = applyTree({ ...options, dryRun: true })
  const changes = serviceChanges(running, tree.plan, weightyPaths(seen.changes, tree.artifacts, root))
  if (values.json)
    host.print(
      `${JSON.stringify({ files: seen.changes.map(({ path, kind }) => ({ path, kind })), ...changes }, null, 2)}\n`,
    )
  else host.print(`${changeList(seen)}${describeChanges(changes)}`)
  if (values['dry-run']) return EXIT.done
  if (seen.changes.length === 0 && isQuiet(changes)) {
    host.say('nothing differs\n')
    return EXIT.done
  }
  const { conflicts } = applyTree(options)
  for (const { message, hint } of conflicts) host.say(complaint(message, hint))
  if (conflicts.length > 0) return EXIT.findings
  return carryOut(tree.plan, changes, host)
}

async function carryOut(plan: Plan, changes: ServiceChanges, host: Host): Promise<number> {
  try {
    await applyToContainer({ plan, changes, node: process.execPath, tell: (line) => host.say(`${line}\n`) })
    return EXIT.done
  } catch (error) {
    if (!(error instanceof ApplyError)) throw error
    host.say(complaint(error.message, 'the tree is the new one; mend it and run apply again'))
    return EXIT.system
  }
}

/** Files that mean something else than before: all that differ in more than the line that says what they are made from. */
function weightyPaths(changes: readonly Change[], artifacts: readonly Artifact[], root: string): string[] {
  const wanted = new Map(artifacts.map(({ path, content }) => [path, content]))
  return changes
    .map(({ path }) => path)
    .filter((path) => {
      const after = wanted.get(path)
      const before = readIfThere(`${root}/${path}`)
      return after === undefined || before === null || withoutMarker(before) !== withoutMarker(String(after))
    })
}

const withoutMarker = (text: string): string => text.replace(/^.*Made by machinegen from .*$/m, '')

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function liveRoot(): string {
  let root: string
  try {
    root = readlinkSync(LIVE_ROOT)
  } catch {
    const hint = 'a machine of "up" takes a changed file when it is started anew'
    throw failure(EXIT.usage, 'cannot apply: this is no container that a machinegen image booted', hint)
  }
  try {
    accessSync(`${root === '/' ? '' : root}/etc/machinegen`, constants.W_OK)
  } catch {
    throw failure(EXIT.system, 'cannot apply: the root is read-only', 'start the container again')
  }
  return root
}

const machineFiles = ({ environment }: Host): readonly string[] =>
  (environment.MACHINEGEN_FILES ?? MACHINE_FILE).split(/\s+/).filter(Boolean)

/** As the boot counted them. */
function gpusOf({ environment }: Host, running: Plan): number | undefined {
  const named = Number(environment.MACHINEGEN_GPUS || Number.NaN)
  if (Number.isInteger(named)) return named
  return running.simulate ? 1 : undefined
}

/** A line for each service that something happens to. */
function describeChanges(changes: ServiceChanges): string {
  const lines = [
    ...changes.added.map((name) => `start    ${name}`),
    ...changes.removed.map((name) => `remove   ${name}`),
    ...changes.restarted.map(({ service, because }) => `restart  ${service}: ${because.join(', ')}`),
    ...changes.repeated.map((name) => `repeat   ${name}`),
    ...changes.loggers.map((name) => `restart  ${name}-log`),
    ...(changes.reloadsProxy ? ['reload   nginx'] : []),
    ...(changes.restartsSidecar ? ['restart  sidecar'] : []),
    ...changes.later.map(({ service, because }) => `keep     ${service}: ${because.join(', ')} from its next start`),
  ]
  return lines.map((line) => `${line}\n`).join('')
}
