import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findUser } from '../../runtime/provision/account.ts'
import { formatBearerMap, formatHtpasswd } from '../../runtime/provision/proxy-credentials.ts'
import { setUpMachine } from '../../runtime/provision/setup.ts'
import { resolveSecrets } from '../../runtime/shared/resolve-secrets.ts'
import type { Plan, PlannedProxy, PlannedSecret } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { localPlan, plannedService } from './local-tree.ts'

const reference = (name: string, template: string): PlannedSecret => ({
  name,
  field: `/field/of/${name}`,
  source: { kind: 'reference', template },
})

function plannedProxy(root: string): PlannedProxy {
  mkdirSync(`${root}/config/nginx`, { recursive: true })
  writeFileSync(`${root}/config/nginx/nginx.conf`, 'user root;\n')
  return {
    listen: '127.0.0.1',
    port: 8080,
    tls: null,
    healthPath: '/health',
    alivePath: '/-/proxy',
    auth: { mode: 'required', user: 'sd', passwordSecret: 'proxy-password', tokenSecret: 'proxy-token' },
    credentialFiles: { htpasswd: `${root}/run/nginx/htpasswd`, bearerMap: `${root}/run/nginx/bearer.map` },
    maxBodyBytes: 0,
    routes: [],
    gpuPorts: [],
    configFile: `${root}/config/nginx/nginx.conf`,
    pidFile: `${root}/run/nginx/nginx.pid`,
    workerUser: 'root',
    accessLog: `${root}/logs/access`,
    accessLogDirectory: '/unused',
    temporaryDirectory: `${root}/run/nginx`,
  }
}

/** A machine with a worker that needs two secrets, a `.env` and a proxy. */
function workerPlan(root: string): Plan {
  const worker = plannedService({
    name: 'worker',
    stopsBefore: [],
    environment: { MODEL: 'RTX 4090' },
    secretEnvironment: { HUB_REDIS_URL: 'redis-url', TOKEN: 'token' },
  })
  return {
    ...localPlan(root, [worker, plannedService({ name: 'plain', stopsBefore: [] })]),
    directories: [
      { path: `${root}/workspace`, mode: 0o755, user: null },
      { path: `${root}/workspace/deep/er`, mode: 0o750, user: null },
      { path: `${root}/run/secrets`, mode: 0o700, user: null },
    ],
    secrets: [
      reference('redis-url', '${HUB_REDIS_URL}'),
      reference('token', '${TOKEN:-}'),
      reference('proxy-password', '${SERVER_CREDS:-}'),
      reference('proxy-token', '${MACHINE_TOKEN:-}'),
    ],
    secretFiles: [{ path: `${root}/workspace/worker_gpu0/.env`, service: 'worker' }],
    proxy: plannedProxy(root),
  }
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const ENVIRONMENT = { HUB_REDIS_URL: 'redis://u:p w@h/0', SERVER_CREDS: 'open sesame', MACHINE_TOKEN: 'aB.c+1==' }

test('setup makes directories, secrets, environments, .env files and credentials with their modes', () => {
  const root = temporaryDirectory()
  const plan = workerPlan(root)
  assert.equal(setUpMachine(plan, ENVIRONMENT), [])

  assert.is(modeOf(`${root}/workspace/deep/er`), '750')
  for (const directory of ['run/secrets', 'run/env', 'run/env/worker']) assert.is(modeOf(`${root}/${directory}`), '700')
  assert.is(readFileSync(`${root}/run/secrets/redis-url`, 'utf8'), ENVIRONMENT.HUB_REDIS_URL)
  assert.is(readFileSync(`${root}/run/env/worker/HUB_REDIS_URL`, 'utf8'), `${ENVIRONMENT.HUB_REDIS_URL}\n`)
  assert.equal(readdirSync(`${root}/run/env/worker`), ['HUB_REDIS_URL'], 'an empty secret has no file')
  assert.not(existsSync(`${root}/run/env/plain`))
  const dotenv = readFileSync(`${root}/workspace/worker_gpu0/.env`, 'utf8')
  assert.is(dotenv, "HUB_REDIS_URL='redis://u:p w@h/0'\nMODEL='RTX 4090'\nTOKEN=\n")
  for (const file of ['run/secrets/redis-url', 'run/env/worker/HUB_REDIS_URL', 'workspace/worker_gpu0/.env']) {
    assert.is(modeOf(`${root}/${file}`), '600')
  }
  for (const file of ['run/nginx/htpasswd', 'run/nginx/bearer.map']) {
    assert.is(modeOf(`${root}/${file}`), process.getuid?.() === 0 ? '640' : '600')
  }
  assert.match(readFileSync(`${root}/run/nginx/htpasswd`, 'utf8'), /^sd:\{SSHA\}[A-Za-z0-9+/=]+\n$/)
})

test('s6-envdir gives the secret as it is', () => {
  const root = temporaryDirectory()
  const value = 'two\nlines with $HOME and "quotes" \n'
  setUpMachine(workerPlan(root), { ...ENVIRONMENT, HUB_REDIS_URL: value })
  const answer = execFileSync('s6-envdir', ['-fL', `${root}/run/env/worker`, 'printenv', '-0', 'HUB_REDIS_URL'])
  assert.is(answer.toString(), `${value}\0`)
})

test('setup repeated changes nothing, keeps user data and forgets a secret that is gone', () => {
  const root = temporaryDirectory()
  const plan = workerPlan(root)
  setUpMachine(plan, { ...ENVIRONMENT, TOKEN: 'was here' })
  writeFileSync(`${root}/workspace/deep/er/model.safetensors`, 'precious')
  writeFileSync(`${root}/run/secrets/old`, 'x')
  assert.equal(setUpMachine(plan, ENVIRONMENT), [])
  assert.is(readFileSync(`${root}/workspace/deep/er/model.safetensors`, 'utf8'), 'precious')
  assert.not(existsSync(`${root}/run/env/worker/TOKEN`))
  assert.not(existsSync(`${root}/run/secrets/old`))
})

test('gates of an earlier boot are closed', () => {
  const root = temporaryDirectory()
  mkdirSync(`${root}/run/ready`, { recursive: true })
  mkdirSync(`${root}/run/waiting`)
  for (const stale of ['ready/worker', 'ready/gone', 'waiting/plain']) writeFileSync(`${root}/run/${stale}`, '')
  setUpMachine(workerPlan(root), ENVIRONMENT)
  assert.equal(readdirSync(`${root}/run/ready`), [])
  assert.equal(readdirSync(`${root}/run/waiting`), [])
})

test('everything that is wrong is told at once, without a secret in it', () => {
  const root = temporaryDirectory()
  writeFileSync(`${root}/config-file`, '')
  const plan = {
    ...workerPlan(root),
    secrets: [
      reference('a', '${NOT_SET}'),
      reference('b', '${NEEDED:?the queue needs it}'),
      reference('c', 'known-${OPEN'),
      reference('redis-url', '${URL}'),
      reference('proxy-token', '${BAD_TOKEN}'),
    ],
  }
  const environment = { URL: 'it\'s "s3cret"', BAD_TOKEN: 'töken-s3cret', NEEDED_FILE: `${root}/absent` }
  const problems = setUpMachine(plan, environment)
  const expected = [
    /^cannot resolve secret "a" \(\/field\/of\/a\): .*NOT_SET/,
    /^cannot resolve secret "b" .*NEEDED_FILE/,
    /^cannot resolve secret "c" .*never closed/,
    /^cannot write "HUB_REDIS_URL": .*single quote.*\.env"\)$/,
    /^cannot use the token of the proxy: .*RFC 6750/,
  ]
  assert.is(problems.length, expected.length, problems.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(problems[index]!, pattern)
  assert.not(problems.join('\n').includes('s3cret'))
})

test('a directory that cannot be made is named with the reason', () => {
  const root = temporaryDirectory()
  writeFileSync(`${root}/file`, '')
  const plan = {
    ...localPlan(root, []),
    directories: [`${root}/file`, `${root}/file/below`].map((path) => ({ path, mode: 0o755, user: null })),
  }
  assert.equal(setUpMachine(plan, {}), [
    `cannot create directory "${root}/file": something else of that name is in its place`,
    `cannot create directory "${root}/file/below": one of its parents is not a directory`,
  ])
})

test('the program sets up from a plan file, and ends with 1 or 2 when it cannot', () => {
  const root = temporaryDirectory()
  const planFile = `${root}/plan.json`
  writeFileSync(planFile, JSON.stringify(workerPlan(root)))
  const run = (args: string[], env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'runtime/provision/main.ts', ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    })
  const done = run(['setup', '--plan', planFile], ENVIRONMENT)
  assert.is(done.status, 0, done.stderr)
  const failed = run(['setup', '--plan', planFile], {})
  assert.is(failed.status, 1)
  assert.match(failed.stderr, /^setup: cannot resolve secret "redis-url".*HUB_REDIS_URL/)
  assert.is(run(['setup'], {}).status, 2)
  assert.is(run(['tidy', '--plan', planFile], {}).status, 2)
})

test('a variable that is not set is read from the file that <NAME>_FILE names', () => {
  const file = `${temporaryDirectory()}/secret`
  writeFileSync(file, 'from file\n\n')
  const { values, problems } = resolveSecrets([reference('a', 'x-${A}'), reference('b', '${B:-none}')], {
    A_FILE: file,
    B: 'set',
    B_FILE: file,
  })
  assert.equal(problems, [])
  assert.equal(
    [...values],
    [
      ['a', 'x-from file\n'],
      ['b', 'set'],
    ],
  )
})

test('a literal secret is read from its file', () => {
  const file = `${temporaryDirectory()}/literal`
  writeFileSync(file, 'as $it ${is}')
  const literal: PlannedSecret = { name: 'a', field: '/a', source: { kind: 'literal', file } }
  assert.is(resolveSecrets([literal], {}).values.get('a'), 'as $it ${is}')
})

const salt = () => Buffer.from('saltsalt')
const ssha = (password: string) =>
  `{SSHA}${Buffer.concat([createHash('sha1').update(`${password}saltsalt`).digest(), salt()]).toString('base64')}`

const HTPASSWD: { title: string; password: string; text?: string; refusal?: RegExp }[] = [
  { title: 'no password, no line', password: '', text: '' },
  { title: 'in clear', password: 'pass:word $1$', text: `sd:${ssha('pass:word $1$')}\n` },
  { title: 'marked as clear', password: '{PLAIN}pass', text: `sd:${ssha('pass')}\n` },
  ...['$apr1$a$b', '$1$a$b', '$5$a$b', '$6$a$b', '$2y$05$b', '{SSHA}abc=', '{SHA}abc='].map((hash) => ({
    title: `hashed already: ${hash}`,
    password: hash,
    text: `sd:${hash}\n`,
  })),
  { title: 'with a user of its own', password: 'me:$apr1$a$b', text: 'me:$apr1$a$b\n' },
  {
    title: 'several lines',
    password: '$apr1$a$b\n\n# others\nme:$6$c$d\nyou:clear\n',
    text: `sd:$apr1$a$b\nme:$6$c$d\nyou:${ssha('clear')}\n`,
  },
  { title: 'a further line without a user', password: 'clear\nmore', refusal: /line 2/ },
]

for (const { title, password, text, refusal } of HTPASSWD) {
  test(`htpasswd: ${title}`, () => {
    const file = formatHtpasswd('sd', password, salt)
    if (text !== undefined) assert.equal(file, { text })
    if (refusal !== undefined) assert.match('refusal' in file ? file.refusal : '', refusal)
  })
}

test('a bearer token is matched whole and with regard to case', () => {
  assert.equal(formatBearerMap(''), { text: '' })
  assert.equal(formatBearerMap('aB.c+1=='), { text: '"~^(?i:Bearer) +aB[.]c[+]1==$" 1;\n' })
  for (const token of ['two words', 'quote"', 'semi;', 'ünï', 'a=b', '=', '$x', 'a\nb']) {
    assert.ok('refusal' in formatBearerMap(token), JSON.stringify(token))
  }
})

test('users are found by name or number', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nwww-data:x:33:34::/var/www:/bin/false\n'
  assert.equal(findUser('www-data', passwd), { uid: 33, gid: 34 })
  assert.equal(findUser('1000', passwd), { uid: 1000, gid: 1000 })
  assert.is(findUser('www', passwd), null)
})

test('root gives the credentials to the group of the workers, and to nobody else', () => {
  if (process.getuid?.() !== 0) return
  const root = temporaryDirectory()
  const plan = workerPlan(root)
  assert.equal(setUpMachine({ ...plan, proxy: { ...plan.proxy!, workerUser: '12345' } }, ENVIRONMENT), [])
  const { uid, gid } = statSync(`${root}/run/nginx/htpasswd`)
  assert.equal([uid, gid], [0, 12345])
  const problems = setUpMachine({ ...plan, proxy: { ...plan.proxy!, workerUser: 'nobody-here' } }, ENVIRONMENT)
  assert.match(problems[0]!, /htpasswd": there is no user "nobody-here" on this system/)
})

test.run()
