import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openLogStore } from '../../runtime/shared/logs/open-log-store.ts'
import { createRedactor, hideCredentials } from '../../runtime/shared/logs/redact.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { EVERYTHING, messagesOf, startLogWriter } from './log-writer.ts'

const HIDDEN: readonly (readonly [string, string])[] = [
  ['redis://user:s3cret@hub:6379/0', 'redis://user:[redacted]@hub:6379/0'],
  ['rediss://:s3cret@hub', 'rediss://:[redacted]@hub'],
  ['clones https://ghp_0123456789abcdefXYZ@github.com/o/r', 'clones https://[redacted]@github.com/o/r'],
  ['Authorization: Bearer abc.def-123456', 'Authorization: Bearer [redacted]'],
  ['authorization: Basic dXNlcjpwYXNz', 'authorization: Basic [redacted]'],
  ['HF_TOKEN=hf_abcdef', 'HF_TOKEN=[redacted]'],
  ['{"password":"hunter2","n":1}', '{"password":"[redacted]","n":1}'],
  ['"{\\"authToken\\":\\"hunter2\\"}"', '"{\\"authToken\\":\\"[redacted]\\"}"'],
  ['civitai?token=abcdef123&x=1', 'civitai?token=[redacted]&x=1'],
  ['api_key: sk-1234567890', 'api_key: [redacted]'],
]

for (const [text, hidden] of HIDDEN) {
  test(`hides what looks like a credential: ${hidden}`, () => {
    assert.is(hideCredentials(text), hidden)
    assert.is(hideCredentials(hidden), hidden, 'once is as good as twice')
  })
}

const INNOCENT = [
  'http://127.0.0.1:8188/system_stats',
  'max_tokens=4096 token: 12 tokens=77',
  'cannot read the token: file is missing',
  '{"token":null,"password":true}',
  'time 12:30:45@noon, user@host:/path',
  'redis://hub:6379',
]

for (const text of INNOCENT) {
  test(`leaves what is none: ${text}`, () => {
    assert.is(hideCredentials(text), text)
  })
}

test('a known value is hidden in every spelling, and a short one hides nothing', () => {
  const { redact, redactKnown } = createRedactor(['pa"ss w/rd', 'abc', 'redis://u:p%40ssw0rd@hub:1'])
  assert.is(redactKnown('pa"ss w/rd'), '[redacted]')
  assert.is(redactKnown(JSON.stringify('x pa"ss w/rd')), '"x [redacted]"')
  assert.is(redactKnown('?q=pa%22ss%20w%2Frd'), '?q=[redacted]')
  assert.is(redactKnown('abc'), 'abc')
  assert.is(redactKnown('connects as p@ssw0rd'), 'connects as [redacted]')
  assert.is(redact('to redis://u:p%40ssw0rd@hub:1 now'), 'to [redacted] now')
})

test('the lines of a key are hidden one by one', () => {
  const lines = [
    '-----BEGIN KEY-----',
    'b3BlbnNzaC1rZXktdjEAAAAABG5vbmU',
    'AAAAC3NzaC1lZDI1NTE5AAAAIKq',
    '-----END KEY-----',
  ]
  const { redactKnown } = createRedactor([`${lines.join('\n')}\n`])
  assert.is(redactKnown(`prints ${lines[1]}`), 'prints [redacted]')
  assert.is(redactKnown('-----BEGIN KEY-----'), '-----BEGIN KEY-----')
})

test('a secret that a service prints is not read back, and cannot be searched for', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  const json = JSON.stringify({
    msg: 'with s3cretvalue',
    url: 'x?key=s3cretvalue',
    code: 7654321,
    jobId: 's3cretvalue',
  })
  await writer.write(`plain s3cretvalue\n${json}\nnothing\n`)
  await writer.end()
  const sources = [{ service: 'app', gpu: null, directory, isAccessLog: false }]
  const store = openLogStore({ sources, bundles: {}, redactor: createRedactor(['s3cretvalue', '7654321']) })
  const { lines } = await store.query(EVERYTHING)
  assert.equal(
    lines.map(({ message }) => message),
    ['plain [redacted]', 'with [redacted]', 'nothing'],
  )
  assert.equal(lines[1]!.context, { url: 'x?key=[redacted]', code: '[redacted]', jobId: '[redacted]' })
  assert.is(lines[1]!.correlationId, '[redacted]')
  assert.equal(await messagesOf(store, { grep: 's3cretv' }), [])
  assert.equal(await messagesOf(store, { pattern: /s3c/ }), [])
  assert.equal(await messagesOf(store, { grep: 'plain' }), ['plain [redacted]'])
})

test.run()
