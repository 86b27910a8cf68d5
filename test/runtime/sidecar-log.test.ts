import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

/** What a process that logs this way prints. */
function logged(statements: string): Record<string, unknown>[] {
  const program = `import { createLog } from './runtime/sidecar/log.ts'\nconst log = createLog()\n${statements}\nlog.flush()`
  const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('a line has the fields of the one schema', () => {
  const [line] = logged(`log.warn({ context: { service: 'app', state: 'unready' } }, 'something')`)
  const { timestamp, ...rest } = line!
  assert.equal(rest, {
    level: 'warn',
    service: 'sidecar',
    context: { service: 'app', state: 'unready' },
    message: 'something',
  })
  assert.is(new Date(timestamp as string).toISOString(), timestamp)
})

test('secrets that come along in the context of a line are not written', () => {
  const secret = 's3cret'
  const context = { password: secret, token: secret, authorization: secret, redis: { url: secret, password: secret } }
  const lines = logged(`log.info({ context: ${JSON.stringify(context)}, token: '${secret}' }, 'connects')`)
  assert.not(JSON.stringify(lines).includes(secret))
  assert.is((lines[0]!.context as Record<string, unknown>).password, '[redacted]')
})

test.run()
