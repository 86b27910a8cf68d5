import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

/** What a process that logs this way prints. */
function logged(statements: string, options = '{}'): Record<string, unknown>[] {
  const program = `
    import { createLog } from './runtime/sidecar/log.ts'
    import { createRedactor } from './runtime/shared/logs/redact.ts'
    const log = createLog(${options})
    ${statements}`
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
    gpu: null,
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

test('secrets are not written in messages, errors or fields with other names either', () => {
  const options = `{ redactor: createRedactor(['kn0wn-value', 'redis://worker:pass%40word@hub:6379']) }`
  const lines = logged(
    `log.info('connects to redis://user:hunter2@hub:6379 with kn0wn-value')
     log.warn({ context: { header: 'Bearer abcdefgh12345', argument: '--key=kn0wn-value' } }, 'password=hunter2')
     log.error(new Error('refused for pass@word and pass%40word'))`,
    options,
  )
  const text = JSON.stringify(lines)
  for (const secret of ['hunter2', 'kn0wn-value', 'abcdefgh12345', 'pass@word', 'pass%40word']) {
    assert.not(text.includes(secret), `${secret} in ${text}`)
  }
  assert.is(lines[0]!.message, 'connects to redis://user:[redacted]@hub:6379 with [redacted]')
})

test('a line correlates with the boot, or with what it says itself', () => {
  const lines = logged(`log.info('one'); log.info({ correlationId: 'request-7' }, 'two')`, `{ bootId: 'boot-1' }`)
  assert.equal(
    lines.map(({ correlationId }) => correlationId),
    ['boot-1', 'request-7'],
  )
})

test.run()
