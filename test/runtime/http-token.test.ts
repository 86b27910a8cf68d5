import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { apiTokenFile, loadApiToken } from '../../runtime/shared/api-token.ts'
import type { PlannedSecret } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { startHttpMachine, TOKEN, testPlan, WITH_TOKEN } from './http-machine.ts'

/** A plan whose paths are below a directory of its own, with the token as the compiler plans it by default. */
function planAt(root: string, source: PlannedSecret['source'] | null) {
  const plan = testPlan()
  const secret = { name: 'api-token', field: '/sidecar/token' }
  return {
    ...plan,
    paths: { ...plan.paths, state: `${root}/workspace/.machine` },
    secrets: source === null ? [] : [{ ...secret, source }],
    sidecar: { ...plan.sidecar, tokenSecret: source === null ? null : 'api-token' },
  }
}

const DEFAULT = { kind: 'reference', template: '${MACHINE_API_TOKEN:-}' } as const

test('the token comes from the environment, or from a file that it names', () => {
  const root = temporaryDirectory()
  writeFileSync(`${root}/secret`, 'token-from-a-file\n')
  const plan = planAt(root, DEFAULT)
  assert.is(loadApiToken(plan, { MACHINE_API_TOKEN: 'token-from-env' }).value, 'token-from-env')
  assert.is(loadApiToken(plan, { MACHINE_API_TOKEN_FILE: `${root}/secret` }).value, 'token-from-a-file')
  writeFileSync(`${root}/literal`, 'token-in-the-machine-file')
  const literal = planAt(root, { kind: 'literal', file: `${root}/literal` })
  assert.is(loadApiToken(literal, {}).value, 'token-in-the-machine-file')
})

test('without one it is made once, for its owner alone, and kept', () => {
  const root = temporaryDirectory()
  for (const plan of [planAt(root, DEFAULT), planAt(root, null)]) {
    const { value, problems } = loadApiToken(plan, {})
    assert.equal(problems, [])
    assert.match(value ?? '', /^[\w-]{43}$/)
    assert.is(loadApiToken(plan, {}).value, value)
    const file = apiTokenFile(plan.paths)
    assert.is(readFileSync(file, 'utf8').trim(), value)
    assert.is(statSync(file).mode & 0o777, 0o600)
    assert.equal(readdirSync(`${root}/workspace/.machine`), ['api-token'])
  }
})

test('a file that others may read is closed to them, and one without a token is replaced', () => {
  const root = temporaryDirectory()
  const plan = planAt(root, null)
  const file = apiTokenFile(plan.paths)
  mkdirSync(plan.paths.state, { recursive: true })
  writeFileSync(file, 'the-token-of-an-operator\n', { mode: 0o644 })
  assert.is(loadApiToken(plan, {}).value, 'the-token-of-an-operator')
  assert.is(statSync(file).mode & 0o777, 0o600)
  for (const content of ['', 'x', 'two words of it', '\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008']) {
    writeFileSync(file, content)
    assert.match(loadApiToken(plan, {}).value ?? '', /^[\w-]{43}$/)
  }
})

test('a token that cannot be had is a problem without its value, and is replaced by no other', () => {
  const root = temporaryDirectory()
  writeFileSync(`${root}/workspace`, 'no directory')
  const short = loadApiToken(planAt(root, DEFAULT), { MACHINE_API_TOKEN: 's3cret' })
  assert.is(short.value, null)
  assert.not(short.problems.join().includes('s3cret'))
  const missing = planAt(root, { kind: 'reference', template: '${MACHINE_API_TOKEN:?give one}' })
  assert.match(loadApiToken(missing, {}).problems.join(), /api-token.*give one/)
  assert.match(loadApiToken(planAt(root, null), {}).problems.join(), /cannot keep a token in ".*api-token": /)
})

const CHANGE = '/services/nginx/restart'

test('changes and logs need the token, in either header, and nothing else does', async () => {
  const machine = await startHttpMachine()
  const status = (path: string, method: string, headers: Record<string, string>) =>
    machine.ask(path, { method, headers }).then((answer) => answer.status)
  const right = [
    WITH_TOKEN,
    { authorization: `bearer  ${TOKEN} ` },
    { 'x-machine-token': TOKEN },
    { authorization: 'Basic c2Q6cHc=', 'x-machine-token': TOKEN },
    { authorization: 'Bearer the-proxys-own', 'x-machine-token': TOKEN },
  ]
  const wrong = [
    {},
    { authorization: TOKEN },
    { authorization: `Basic ${Buffer.from(`sd:${TOKEN}`).toString('base64')}` },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
    { authorization: `Bearer ${TOKEN.toUpperCase()}` },
    { authorization: 'Bearer ' },
    { 'x-machine-token': '' },
    { cookie: `token=${TOKEN}` },
  ]
  const paths: [string, string][] = [
    [CHANGE, 'POST'],
    ['/services/gpu0/start', 'POST'],
    ['/services/gpu0/stop', 'POST'],
    ['/restart/service?service=nginx', 'POST'],
    ['/restart/machine', 'POST'],
    ['/logs', 'GET'],
    ['/services/nginx/logs', 'GET'],
    ['/pm2/logs?service=nginx', 'GET'],
    ['/comfyui/logs', 'GET'],
  ]
  for (const [path, method] of paths) {
    for (const headers of right)
      assert.ok((await status(path, method, headers)) < 300, `${path} ${JSON.stringify(headers)}`)
    for (const headers of wrong)
      assert.is(await status(path, method, headers), 401, `${path} ${JSON.stringify(headers)}`)
    assert.is(await status(`${path}${path.includes('?') ? '&' : '?'}token=${TOKEN}`, method, {}), 401)
  }
  for (const path of ['/health', '/ready', '/status', '/services', '/services/nginx', '/events?follow=0', '/metrics']) {
    assert.is.not(await status(path, 'GET', {}), 401, path)
  }
  await machine.close()
})

test('a refusal says how to show a token, and whether the one that was shown is wrong', async () => {
  const machine = await startHttpMachine()
  const none = await machine.ask(CHANGE, { method: 'POST' })
  const wrong = await machine.ask(CHANGE, { method: 'POST', headers: { authorization: 'Bearer nonsense' } })
  await machine.close()
  assert.equal([none.status, none.body.error.code], [401, 'UNAUTHORIZED'])
  assert.is(none.headers['www-authenticate'], 'Bearer realm="test-machine"')
  assert.is(wrong.headers['www-authenticate'], 'Bearer realm="test-machine", error="invalid_token"')
})

test('wrong tokens are told of at once and then once a minute, without them', async () => {
  const machine = await startHttpMachine()
  for (let index = 0; index < 50; index += 1) {
    await machine.ask(CHANGE, { method: 'POST', headers: { authorization: `Bearer guess-${index}` } })
  }
  await machine.ask(CHANGE, { method: 'POST' })
  await machine.close()
  assert.equal(machine.problems, ['refused a request with a wrong token, the last one from 127.0.0.1'])
})

test('without a token nobody changes anything, reads work, and the reason is told once', async () => {
  const machine = await startHttpMachine({ token: null })
  for (let index = 0; index < 3; index += 1) {
    const { status, body } = await machine.ask(CHANGE, { method: 'POST', headers: WITH_TOKEN })
    assert.equal([status, body.error.code], [503, 'NO_TOKEN'])
  }
  assert.is((await machine.ask('/services')).status, 200)
  await machine.close()
  assert.equal(machine.problems, ['there is no token'])
})

test('a failed service shows the end of its log to those who have the token', async () => {
  const machine = await startHttpMachine()
  const record = machine.parts.machine().services.get('nginx')!
  const services = new Map(machine.parts.machine().services).set('nginx', { ...record, state: 'failed' })
  const failed = { ...machine.parts.machine(), services }
  machine.parts.machine = () => failed
  const open = (await machine.ask('/services/nginx')).body
  const trusted = (await machine.ask('/services/nginx', { headers: WITH_TOKEN })).body
  await machine.close()
  assert.equal([open.logs, trusted.logs], [undefined, []])
})

test.run()
