/** What the doctor concludes from what it sees, and how it finds who has a port. */
import { spawn } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { SidecarAnswer } from '../../runtime/mgpu/ask-sidecar.ts'
import { checkRedis } from '../../runtime/mgpu/doctor/check-redis.ts'
import type { DoctorFacts } from '../../runtime/mgpu/doctor/doctor-facts.ts'
import { type FindingCode, findProblems } from '../../runtime/mgpu/doctor/findings.ts'
import { findPortHolders, parseListeners } from '../../runtime/mgpu/doctor/port-holders.ts'
import type { ServiceFacts } from '../../runtime/mgpu/service-facts.ts'
import type { ServiceObservation } from '../../runtime/shared/observe-service.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { freePorts, until } from './local-tree.ts'
import { redisServer } from './redis-server.ts'

const test = suite('doctor')

const plan = planFixture({ types: ['comfyui', 'redis-worker'], services: { nginx: { waitsFor: [] } } })

const OBSERVED: ServiceObservation = {
  supervised: true,
  status: null,
  deaths: [],
  allDeaths: [],
  waiting: null,
  gateOpenedAtMs: null,
  givenUp: null,
}

const ANSWER: SidecarAnswer = {
  kind: 'answer',
  tookMs: 1,
  status: {
    healthy: true,
    ready: true,
    state: 'ready',
    uptime: 1,
    services: {},
    gpus: [],
    resources: null,
    events: { outbox: null },
  },
}

type Override = Partial<ServiceFacts> & { readonly waitsFor?: readonly string[] }

function facts(services: Readonly<Record<string, Override>> = {}, rest: Partial<DoctorFacts> = {}): DoctorFacts {
  return {
    target: 'container',
    servicesDirectory: '/run/service',
    isSupervised: true,
    sidecar: ANSWER,
    services: plan.services.map((service): ServiceFacts => {
      const { waitsFor = service.waitsFor, ...own } = services[service.name] ?? {}
      return {
        service: { ...service, waitsFor },
        observation: OBSERVED,
        state: 'ready',
        reason: null,
        ready: own.state === undefined || own.state === 'ready',
        pid: 100,
        uptimeMs: 60_000,
        restarts: 0,
        sidecar: null,
        ...own,
      }
    }),
    logTails: new Map(),
    portHolders: new Map(),
    missingFiles: new Map(),
    missingPrograms: new Map(),
    gpuCount: 2,
    gpuProblem: null,
    missingGpus: [],
    disks: [{ path: '/workspace', totalBytes: 1e12, freeBytes: 5e11 }],
    redisProblem: null,
    provisionFailures: [],
    taskProgress: new Map(),
    tokenProblems: [],
    ...rest,
  }
}

const silent: SidecarAnswer = { kind: 'silent', why: 'nothing listens on port 9090' }
const death = { atMs: 1, exit: { kind: 'exit', code: 7 }, id: 'a' } as const
const stranger = { pid: 4711, session: 4711, command: 'python3 -m http.server', service: null }

const CASES: readonly (readonly [string, DoctorFacts, FindingCode, RegExp, RegExp])[] = [
  [
    'a machine that does not run',
    facts({}, { isSupervised: false }),
    'NO_SUPERVISOR',
    /no s6-svscan runs on "\/run\/service"/,
    /docker logs/,
  ],
  [
    'a sidecar that was stopped',
    facts({ sidecar: { state: 'down', pid: null } }, { sidecar: silent }),
    'SIDECAR_SILENT',
    /nothing listens on port 9090/,
    /^mgpu sidecar start/,
  ],
  [
    'a sidecar that hangs',
    facts({}, { sidecar: { kind: 'silent', why: 'no answer within 300 ms' } }),
    'SIDECAR_SILENT',
    /no answer within 300 ms/,
    /mgpu sidecar restart/,
  ],
  [
    'a service that was given up',
    facts({ 'comfyui-gpu1': { state: 'failed', reason: 'it died 5 times within 600 s', pid: null } }),
    'GAVE_UP',
    /comfyui-gpu1 was given up: it died 5 times within 600 s/,
    /mgpu comfyui start 1$/,
  ],
  [
    'one that does not answer its probe',
    facts({ nginx: { state: 'unready', reason: 'GET /: status 502' } }),
    'UNREADY',
    /nginx runs and does not work: GET \/: status 502/,
    /mgpu nginx restart$/,
  ],
  [
    'one that somebody stopped',
    facts({ 'redis-worker-gpu0': { state: 'down', reason: 'stopped by mgpu root', pid: null } }),
    'STOPPED',
    /redis-worker-gpu0 is down: stopped by mgpu root/,
    /mgpu worker start 0/,
  ],
  [
    'one that dies again and again',
    facts({
      'comfyui-gpu0': {
        state: 'waiting',
        reason: 'starts again in 4 s',
        observation: { ...OBSERVED, deaths: [death, death] },
      },
    }),
    'RESTARTING',
    /comfyui-gpu0 died 2 times, the last time by exit code 7: starts again in 4 s/,
    /mgpu comfyui logs 0/,
  ],
  [
    'one that waits for what waits itself',
    facts({
      'redis-worker-gpu0': { state: 'waiting', waitsFor: ['comfyui-gpu0'] },
      'comfyui-gpu0': { state: 'waiting', waitsFor: ['nginx'] },
      nginx: { state: 'starting', reason: 'nothing listens on 127.0.0.1:80' },
    }),
    'WAITING',
    /waits for comfyui-gpu0, which waits for nginx, which is starting: nothing listens on 127\.0\.0\.1:80/,
    /once comfyui-gpu0 is ready/,
  ],
  [
    'one that takes its time to start',
    facts({ nginx: { state: 'starting', uptimeMs: 20_000 } }),
    'SLOW_START',
    /nginx has been starting for 20 s; after 30 s it is restarted/,
    /startup\.timeout/,
  ],
  [
    'a port that a stranger has',
    facts(
      { nginx: { state: 'starting', pid: 100 } },
      { portHolders: new Map([[plan.services.find(({ name }) => name === 'nginx')!.port!, stranger]]) },
    ),
    'PORT_TAKEN',
    /port \d+ of nginx is taken by process 4711 \(python3 -m http\.server\)/,
    /kill 4711/,
  ],
  [
    'a file that is missing',
    facts({}, { missingFiles: new Map([['comfyui-gpu0', ['/workspace/ComfyUI/main.py']]]) }),
    'MISSING_FILE',
    /comfyui-gpu0 needs "\/workspace\/ComfyUI\/main\.py"/,
    /install it/,
  ],
  [
    'a program that is missing',
    facts({}, { missingPrograms: new Map([['nginx', 'nginx']]) }),
    'MISSING_PROGRAM',
    /nginx runs "nginx", which is not installed/,
    /install it/,
  ],
  [
    'a driver that does not work',
    facts({}, { gpuProblem: 'nvidia-smi is not installed' }),
    'GPU_UNREADABLE',
    /nvidia-smi is not installed/,
    /--gpus all/,
  ],
  [
    'a GPU that is not there',
    facts({}, { missingGpus: [1] }),
    'GPU_MISSING',
    /does not show GPU 1/,
    /machine\.gpu\.count/,
  ],
  [
    'a disk that is nearly full',
    facts({}, { disks: [{ path: '/workspace', totalBytes: 1e12, freeBytes: 5e8 }] }),
    'DISK_FULL',
    /"\/workspace" is nearly full: 477 MiB of 931 GiB free/,
    /du -xh/,
  ],
  [
    'a Redis that is away',
    facts({}, { redisProblem: 'cannot reach Redis at hub:6379: connect ECONNREFUSED' }),
    'REDIS_UNREACHABLE',
    /hub:6379/,
    /redis\.url/,
  ],
  [
    'models that could not be had',
    facts(
      {},
      {
        provisionFailures: [
          { task: 'models', service: 'models', problem: 'status 404', isOver: false, optional: false },
        ],
      },
    ),
    'PROVISION_FAILED',
    /models: status 404/,
    /mcomfy models/,
  ],
  [
    'a token that cannot be used',
    facts({}, { tokenProblems: ['it is too short'] }),
    'TOKEN_UNUSABLE',
    /too short/,
    /mgpu/,
  ],
]

for (const [what, seen, code, text, next] of CASES) {
  test(`${what} is ${code}, with what to do`, () => {
    const finding = findProblems(seen).find((one) => one.code === code && text.test(one.text))
    assert.ok(finding, JSON.stringify(findProblems(seen)))
    assert.match(finding!.next, next)
  })
}

test('of a machine that is well there is nothing to say', () => {
  assert.equal(findProblems(facts()), [])
})

test('errors come first, and what is optional is only a warning', () => {
  const optional = plan.services.map((service) => ({ ...service, optional: service.name === 'nginx' }))
  const seen = facts(
    {
      'comfyui-gpu0': { state: 'failed', pid: null },
      'redis-worker-gpu0': { state: 'down', reason: 'stopped by x', pid: null },
    },
    {},
  )
  const services = seen.services.map((one, index) => {
    const service = optional[index]!
    return service.name === 'nginx' ? { ...one, service, state: 'failed' as const, ready: false } : { ...one, service }
  })
  const findings = findProblems({ ...seen, services })
  assert.equal(
    findings.map(({ severity, service }) => [severity, service]),
    [
      ['error', 'comfyui-gpu0'],
      ['warning', 'nginx'],
      ['note', 'redis-worker-gpu0'],
    ],
  )
})

test('a service that listens on its own port has not lost it to a stranger', () => {
  const port = plan.services.find(({ name }) => name === 'nginx')!.port!
  const own = { pid: 101, session: 100, command: 'nginx: worker process', service: 'nginx' }
  const seen = facts({ nginx: { state: 'starting', pid: 100, uptimeMs: 100 } }, { portHolders: new Map([[port, own]]) })
  assert.equal(findProblems(seen), [])
})

test('listening sockets are read from the table of the kernel', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000 100 0 0 10 0
   1: 0100007F:1F91 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 12346 1 0000 20 4 30 10 -1
`
  assert.equal(parseListeners(table), [['12345', 8080]])
})

test('who listens on a port is found with its command', async () => {
  const [port, other] = (await freePorts(2)) as [number, number]
  const program = `require('node:net').createServer().listen(${port}, '127.0.0.1')`
  const child = spawn(process.execPath, ['-e', program], { detached: true, stdio: 'ignore' })
  try {
    const holder = await until('it listens', 10_000, () =>
      findPortHolders(new Set([port, other]), (session) => (session === child.pid ? 'mine' : null)).get(port),
    )
    assert.equal([holder.pid, holder.session, holder.service], [child.pid, child.pid, 'mine'])
    assert.match(holder.command, /createServer/)
    assert.is(findPortHolders(new Set([other]), () => null).size, 0)
  } finally {
    child.kill('SIGKILL')
  }
})

const secret = { name: 'redis-url', field: '/redis/url', source: { kind: 'reference', template: '${URL}' } } as const
const machine = { ...plan, redis: { ...plan.redis, urlSecret: 'redis-url' }, secrets: [secret] }

test('a Redis that is away is told without its password', async () => {
  const [port] = await freePorts(1)
  const said = await checkRedis(machine, { URL: `redis://:hunter22@127.0.0.1:${port}` })
  assert.match(said ?? '', new RegExp(`^cannot reach Redis at 127\\.0\\.0\\.1:${port}: `))
  assert.not.match(said ?? '', /hunter22/)
  assert.is(await checkRedis(machine, { URL: '' }), null)
})

test('a Redis is asked with its password, and a wrong one is told as that', async () => {
  const redis = await redisServer(['--save', '', '--requirepass', 'hunter22'])
  await redis.start()
  try {
    assert.is(await checkRedis(machine, { URL: `redis://:hunter22@127.0.0.1:${redis.port}` }), null)
    const said = await checkRedis(machine, { URL: `redis://:wrong-one@127.0.0.1:${redis.port}` })
    assert.match(said ?? '', /it refuses the user or password of redis\.url/)
    assert.not.match(said ?? '', /wrong-one/)
  } finally {
    await redis.kill()
  }
})

test.run()
