import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ENVIRONMENT, eventually, removeContainers, startContainer, untilHealthy } from './container.ts'
import { buildImage, findEngine, findMissing } from './engine.ts'

const TAG = 'machinegen-test:sim'
const READ_ONLY = ['--read-only', '--tmpfs', '/run:exec', '--tmpfs', '/tmp', '-e', 'S6_READ_ONLY_ROOT=1']
/** Beyond the workers' drain; a loaded host starts processes slowly. */
const STOP_LIMIT_MS = 15_000

const test = suite('image')
const engine = findEngine()
test('the Dockerfile installs the s6-overlay that machine files mean, proved by checksums', () => {
  const dockerfile = readFileSync('Dockerfile', 'utf8')
  const { machine } = JSON.parse(readFileSync('schema/machine.schema.json', 'utf8')).properties
  assert.match(dockerfile, `ARG S6_OVERLAY_VERSION=${machine.properties.s6Overlay.default}\n`)
  assert.is(dockerfile.match(/^ARG S6_OVERLAY_\w+_SHA256=[0-9a-f]{64}$/gm)?.length, 3)
})

const missing = typeof engine === 'string' ? engine : await findMissing(engine)

if (typeof engine === 'string' || missing !== null) {
  console.log(`SKIPPED: cannot try the image: ${missing}`)
  test.skip('the image boots, heals, stops and keeps its secrets', () => {})
} else {
  test.before(() => {
    const { code, output } = buildImage(engine, TAG)
    assert.is(code, 0, output)
  })
  test.after(removeContainers)
  const start = (environment?: Record<string, string>, options?: readonly string[]) =>
    startContainer(engine, TAG, environment, options)

  interface Service {
    readonly name: string
    readonly pid: number | null
    readonly restarts: number
    readonly state: string
    readonly type: string
  }
  const servicesOf = (body: string): Service[] => JSON.parse(body).services
  /** Tasks come and go. */
  const longruns = (body: string): Service[] => servicesOf(body).filter(({ type }) => type !== 'provision')

  test('it becomes healthy, answers through the proxy to who has the password, and stops with 0', async () => {
    const container = start()
    await untilHealthy(container)
    const proxy = (credential: string) =>
      container.shell(`curl -s -o /dev/null -w '%{http_code}' ${credential} http://127.0.0.1/comfyui/0/system_stats`)
        .output
    assert.is(proxy(''), '401')
    assert.is(proxy(`-u sd:${ENVIRONMENT.SERVER_CREDS}`), '200')
    assert.is(container.shell('/run/machinegen/root/usr/lib/machinegen/healthcheck').code, 0)
    const { code, tookMs } = container.stop()
    assert.is(code, 0, container.logs())
    assert.ok(tookMs < STOP_LIMIT_MS, `stopped after ${tookMs} ms`)
    container.start()
    await untilHealthy(container)
    assert.is(container.stop().code, 0)
  })

  test('every service that is killed comes back', async () => {
    const container = start()
    await untilHealthy(container)
    for (const { name, pid } of longruns(container.get('/services').body)) {
      if (pid === null) continue
      container.shell(`kill -9 ${pid}`)
      await eventually(container, `a new ${name}`, () => {
        const { status, body } = container.get(`/services/${name}`)
        if (status !== 200) return false
        const service = JSON.parse(body) as Service
        return service.pid !== null && service.pid !== pid && service.state === 'ready'
      })
    }
    await untilHealthy(container)
    assert.is(container.stop().code, 0)
  })

  test('a changed machine file is applied while the machine runs: only what became another one restarts', async () => {
    const container = start()
    await untilHealthy(container)
    const pids = () => new Map(longruns(container.get('/services').body).map(({ name, pid }) => [name, pid]))
    const before = pids()
    const file = '/etc/machinegen/machine.yaml'
    container.shell(
      `sed -i 's/--fast/--lowvram/; s/^services:/services:\\n  tiny: { command: [sleep, "1000"] }/' ${file}`,
    )
    const dry = container.shell('machinegen apply --dry-run')
    assert.is(dry.code, 0, dry.output)
    assert.match(dry.output, /restart {2}comfyui-gpu0: command/)
    assert.match(dry.output, /start {4}tiny/)
    assert.equal(pids(), before)

    const applied = container.shell('machinegen apply')
    assert.is(applied.code, 0, applied.output)
    await untilHealthy(container)
    const after = pids()
    assert.type(after.get('tiny'), 'number')
    assert.is.not(after.get('comfyui-gpu0'), before.get('comfyui-gpu0'))
    for (const name of ['nginx', 'automatic1111-gpu0', 'ollama']) assert.is(after.get(name), before.get(name), name)
    assert.match(container.shell('machinegen apply').output, /nothing differs/)

    container.shell(`sed -i '/tiny:/d' ${file}`)
    assert.is(container.shell('machinegen apply').code, 0)
    await untilHealthy(container)
    assert.not.ok(pids().has('tiny'))
    assert.is(container.stop().code, 0)
  })

  test('an operator has the commands of the first machines, with the sidecar dead too', async () => {
    const container = start()
    await untilHealthy(container)
    for (const command of ['mgpu status', 'mgpu comfyui status 0', 'wgpu status all', 'service comfyui status 0']) {
      const { code, output } = container.shell(command)
      assert.is(code, 0, `${command}: ${output}`)
    }
    assert.match(container.shell('mgpu count').output, /^1$/m)
    assert.is.not(container.shell('mgpu comfyui status 7').code, 0)
    assert.is(container.shell('/command/s6-svc -wD -T 5000 -d /run/service/sidecar').code, 0)
    assert.match(container.shell('mgpu comfyui restart 0').output, /comfyui-gpu0/)
    assert.is(container.shell('mgpu comfyui status 0').code, 0)
    assert.is(container.shell('/command/s6-svc -u /run/service/sidecar').code, 0)
    await untilHealthy(container)
    assert.is(container.stop().code, 0)
  })

  test('it is announced in Redis within moments, and says goodbye there', async () => {
    if (process.getuid?.() !== 0) return console.log('SKIPPED: only root may put a Redis beside a container')
    const container = start({ HUB_REDIS_URL: 'redis://127.0.0.1:6379/0' })
    const inside = (...words: string[]) => ['--target', String(container.pid()), '--net', ...words]
    const redis = spawn('nsenter', inside('redis-server', '--port', '6379', '--save', ''), { stdio: 'ignore' })
    try {
      const ask = (...words: string[]) =>
        spawnSync('nsenter', inside('redis-cli', ...words), { encoding: 'utf8' }).stdout ?? ''
      const types = () =>
        ask('--json', 'xrange', 'machine:basic-machine-001:events', '-', '+')
          .match(/"type\\":\\"[\w.-]+/g)
          ?.join(' ') ?? ''
      await eventually(container, 'the announcement of its readiness', () => types().includes('machine.ready'))
      assert.match(types(), /machine\.started/)
      assert.match(ask('hgetall', 'machine:basic-machine-001:status'), /ready/)
      container.shell(`kill -9 ${JSON.parse(container.get('/services/ollama').body).pid}`)
      await eventually(container, 'the announcement of a death', () => types().includes('service.restarted'))
      const farewell = spawn('nsenter', inside('redis-cli', 'subscribe', 'worker:announce'))
      let heard = ''
      farewell.stdout.on('data', (chunk: Buffer) => (heard += chunk.toString()))
      await eventually(container, 'a subscription', () => heard !== '' || farewell.exitCode !== null)
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.is(container.stop().code, 0)
      await new Promise((resolve) => setTimeout(resolve, 300))
      farewell.kill()
      assert.match(heard, /machine\.stopping/)
    } finally {
      redis.kill('SIGKILL')
    }
  })

  test('a stop in the middle of a boot ends with 0', () => {
    for (const waitMs of [0, 100, 300, 600]) {
      const container = start({ SIMULATE_STARTUP_MS: '60000' })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs)
      const { code, tookMs } = container.stop()
      assert.is(code, 0, `${waitMs} ms after the start:\n${container.logs()}`)
      assert.ok(tookMs < STOP_LIMIT_MS, `stopped after ${tookMs} ms`)
    }
  })

  test('a read-only root boots, also a machine that is not the one of the build', async () => {
    for (const gpus of ['1', '3']) {
      const container = start({ NUM_GPUS: gpus }, READ_ONLY)
      await untilHealthy(container)
      const names = servicesOf(container.get('/services').body).map(({ name }) => name)
      assert.is(names.filter((name) => name.startsWith('comfyui-')).length, Number(gpus))
      assert.is(container.stop().code, 0)
    }
  })

  test('a bad environment ends the container with the findings of the compiler', async () => {
    const container = start({ NUM_GPUS: 'banana' })
    await eventually(container, 'an end', () => container.exitCode() !== null)
    assert.is.not(container.exitCode(), 0)
    assert.match(container.logs(), /NUM_GPUS/)
    assert.match(container.logs(), /error\[/)
  })

  test('no secret is in a layer, an artifact, a log or a command line; a file serves as well as a variable', async () => {
    const secret = 'k9-very-secret-credential'
    const container = start({ SERVER_CREDS: secret, HUB_REDIS_URL: `redis://:${secret}@127.0.0.1:1/0` })
    await untilHealthy(container)
    assert.not.ok(container.logs().includes(secret), 'in the logs')
    const found = container.shell(
      `grep -rlF ${secret} /etc /usr/lib/machinegen /workspace/logs /workspace/.machine 2>/dev/null; ` +
        `for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file 2>/dev/null; echo; done | grep -F ${secret} | grep -v grep`,
    ).output
    assert.is(found.trim(), '')
    assert.not.ok(engine.run(['history', '--no-trunc', TAG]).output.includes(secret))
    container.stop()

    const fromFile = start({ SERVER_CREDS: '', SERVER_CREDS_FILE: '/etc/hostname' })
    await untilHealthy(fromFile)
    const answer = fromFile.shell(
      `curl -s -o /dev/null -w '%{http_code}' -u "sd:$(cat /etc/hostname)" http://127.0.0.1/comfyui/0/system_stats`,
    ).output
    assert.is(answer, '200')
    fromFile.stop()
  })
}

test.run()
