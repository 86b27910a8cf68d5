import { EXIT, failure } from '../failure.ts'
import { type Host, wantsColor } from '../host.ts'
import type { Invocation } from '../invocation.ts'

/** `watch`: the machines that announce themselves in a Redis. What does it is in a file of its own, with its client of Redis. */
export async function run({ values }: Invocation<'watch'>, host: Host): Promise<number> {
  const fromEnvironment = host.environment.HUB_REDIS_URL?.trim()
  const url = values.redis ?? fromEnvironment
  if (!url) {
    throw failure(EXIT.usage, 'cannot watch: it is not said which Redis', 'set HUB_REDIS_URL, or give --redis URL')
  }
  const { watch } = await import('../../../runtime/watch/watch.ts')
  await watch({
    url,
    urlPlace: values.redis === undefined ? 'HUB_REDIS_URL' : '--redis',
    certificateAuthority: values['certificate-authority'] ?? null,
    machine: values.machine ?? null,
    since: values.since ?? null,
    isOnce: values.once,
    isJson: values.json,
    types: values.type,
    services: values.service,
    isColored: wantsColor(host.environment, () => process.stdout.isTTY),
    stdout: process.stdout,
    stdin: process.stdin,
    say: (line) => host.say(`machinegen: ${line}\n`),
  })
  return EXIT.done
}
