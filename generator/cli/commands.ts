import { VERSION } from './build-facts.ts'
import { carryOut } from './carry-out.ts'
import { complaint, EXIT } from './failure.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import { runVerb } from './run-verb.ts'
import { isVerb } from './verbs.ts'

/** Everything behind the start: all verbs, and yargs for what is not plainly a command. Gives the exit code. */
export async function runCommand(words: readonly string[], invocation: Invocation | null, host: Host): Promise<number> {
  if (invocation !== null) return carryOutInvocation(invocation, host)
  const { readWithYargs } = await import('./yargs-front.ts')
  const result = await readWithYargs(words, { version: VERSION, columns: process.stdout.columns ?? 100 })
  if ('invocation' in result) return carryOutInvocation(result.invocation, host)
  if ('problem' in result) {
    const verb = words.find(isVerb)
    const hint = result.hint ?? `machinegen ${verb === undefined ? '' : `${verb} `}--help shows what there is`
    host.say(complaint(result.problem, hint))
    return EXIT.usage
  }
  host.print(result.text)
  return EXIT.done
}

function carryOutInvocation(invocation: Invocation, host: Host): number | Promise<number> {
  const { verb } = invocation
  if (verb === 'completion') return EXIT.done
  return carryOut(verb, host, () => runVerb(verb, invocation as Invocation<typeof verb>, host))
}
