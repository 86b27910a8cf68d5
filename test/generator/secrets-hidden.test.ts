import assert from 'node:assert/strict'
import { test } from 'uvu'
import { compile } from '../../generator/compile.ts'
import { type DiagnosticFormat, formatDiagnostics } from '../../generator/diagnostics/format.ts'

const HEAD = 'machine: { id: m }\n'
const FORMATS: readonly DiagnosticFormat[] = ['pretty', 'json', 'github']

/** All that a command can print of a compilation, and the artifacts that everybody may read. */
function shown(text: string, sets: readonly string[] = []): string {
  const { diagnostics, texts, plan, artifacts } = compile({ sources: [{ file: 'machine.yaml', text }], sets })
  const printed = FORMATS.map((format) => formatDiagnostics(diagnostics, texts, { format, color: false }))
  const readable = artifacts.filter(({ mode }) => mode !== 0o600).map(({ content }) => String(content))
  return [...printed, JSON.stringify(plan), ...readable].join('\n')
}

const SECRET = 'hunter2'
const CASES: readonly (readonly [string, string])[] = [
  [
    'a URL beside a mistake',
    `${HEAD}services: { redisWorker: {} }\nredis: { url: "redis://:${SECRET}@h:1", nope: 1 }\n`,
  ],
  ['a list for a URL', `${HEAD}services: {}\nredis: { url: [${SECRET}] }\n`],
  ['a URL for a map', `${HEAD}services: {}\nredis: "redis://:${SECRET}@h"\n`],
  ['a misspelt key', `${HEAD}services: {}\nredis: { urll: "redis://:${SECRET}@h" }\n`],
  ['a password for a map', `${HEAD}services: { nginx: { auth: ${SECRET} } }\n`],
  [
    'a password on two lines',
    `${HEAD}services:\n  nginx:\n    auth:\n      password: |\n        ${SECRET}\n      nope: ${SECRET}\n`,
  ],
  ['a variable with a telling name', `${HEAD}services: { a: { command: [a], env: { HF_TOKEN: ${SECRET}, X: [] } } }\n`],
  ['a list for a variable', `${HEAD}services: { a: { command: [a], env: { HF_TOKEN: [${SECRET}] } } }\n`],
  ['a URL with a password', `${HEAD}services: { a: { command: [a], env: { DB: "pg://u:${SECRET}@h/x" }, nope: 1 } }\n`],
  [
    'a URL with a password, all right',
    `${HEAD}services: { a: { command: [a], env: { DB: "pg://u:${SECRET}@h/x" } } }\n`,
  ],
  ['a fallback', `${HEAD}services: { redisWorker: {} }\nredis: { authToken: "\${T:-${SECRET}}" }\n`],
  ['a fallback in a URL', `${HEAD}services: { redisWorker: {} }\nredis: { url: "redis://:\${T:-${SECRET}}@h" }\n`],
  [
    'a password beside a reference',
    `${HEAD}services: { redisWorker: {} }\nredis: { url: "redis://:${SECRET}@\${HOST}" }\n`,
  ],
]

for (const [title, text] of CASES) {
  test(`nothing that is printed or readable has a secret: ${title}`, () => {
    assert.doesNotMatch(shown(text), new RegExp(SECRET))
  })
}

test('nor one that is set on the command line', () => {
  const text = `${HEAD}services: { redisWorker: { nope: 1 } }\n`
  assert.doesNotMatch(shown(text, [`redis.url=redis://:${SECRET}@h:1`]), new RegExp(SECRET))
})

test('a reference is shown, and so is what stands around the secrets', () => {
  const text = `${HEAD}services: { redisWorker: {} }\nredis: { url: "\${URL}", authToken: ${SECRET}, nope: 1 }\n`
  assert.match(shown(text), /redis: \{ url: "\$\{URL\}", authToken: \*{7}, nope: \* \}/)
})

test('references with harmless text around them are no secrets in clear', () => {
  const urls = [
    'redis://:${PW}@${HOST:-localhost}:6379',
    '${URL:-redis://localhost:6379}',
    '${URL:-}',
    '${URL:?set it}',
  ]
  for (const url of urls) {
    const text = JSON.stringify({ machine: { id: 'm' }, services: { redisWorker: {} }, redis: { url } })
    const { diagnostics } = compile({ sources: [{ file: 'machine.json', text }] })
    assert.deepEqual(diagnostics, [], url)
  }
})

test('the secrets of a service and those of the machine have different names', () => {
  const text = `${HEAD}services: { redisWorker: {}, redis: { command: [a], env: { url: "\${X}" } } }\nredis: { url: "\${Y}" }\n`
  const { plan } = compile({ sources: [{ file: 'machine.yaml', text }] })
  const templates = plan?.secrets.map(({ name, source }) => [name, source.kind === 'reference' && source.template])
  assert.deepEqual(Object.fromEntries(templates ?? [])['redis.url'], '${X}')
  assert.deepEqual(Object.fromEntries(templates ?? [])['redis-url'], '${Y}')
})

test.run()
