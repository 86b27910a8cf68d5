/** The shell library of the run and finish scripts, under a real s6-svscan: pauses, budgets, leftovers, signals. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import type { PlannedService } from '../../schema/plan.ts'
import { localPlan, plannedService, until, writeLocalTree } from '../runtime/local-tree.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

interface Supervised {
  readonly directory: (name: string) => string
  readonly logOf: (name: string) => string
  /** What `s6-svstat -o` says of a service: `pid`, `up,wantedup`, ... */
  readonly stat: (name: string, fields: string) => string
  readonly control: (name: string, ...options: string[]) => void
  readonly deaths: (name: string) => string[]
}

const BUDGET = { maxAttempts: 3, windowMs: 60_000, backoff: { initialMs: 1500, maxMs: 2000, factor: 1.3 } }

const crashing = (name: string, overrides: Partial<PlannedService> = {}): PlannedService =>
  plannedService({ name, command: ['sh', '-c', 'exit 7'], restart: BUDGET, ...overrides })

/** Runs the services under s6-svscan, started by `starter`, for as long as `use` takes. */
async function withServices(
  services: readonly PlannedService[],
  use: (supervised: Supervised) => Promise<void>,
  starter: readonly string[] = [],
): Promise<void> {
  const plan = localPlan(temporaryDirectory(), services)
  writeLocalTree(plan)
  for (const path of [plan.paths.gates, `${plan.paths.run}/waiting`, `${plan.paths.run}/pgid`, plan.paths.workspace])
    mkdirSync(path, { recursive: true })
  const [program, ...words] = [...starter, 's6-svscan', plan.paths.services]
  const svscan: ChildProcess = spawn(program!, words, { detached: true, stdio: 'ignore' })
  const ended = new Promise((resolve) => svscan.once('exit', resolve))
  const directory = (name: string) => `${plan.paths.services}/${name}`
  const ask = (tool: string, ...options: string[]) => execFileSync(tool, options, { encoding: 'utf8' }).trim()
  const supervised: Supervised = {
    directory,
    logOf: (name) => readFileSync(`${plan.paths.logs}/${name}/current`, 'utf8'),
    stat: (name, fields) => ask('s6-svstat', '-o', fields, directory(name)),
    control: (name, ...options) => ask('s6-svc', ...options, directory(name)),
    deaths: (name) =>
      ask('s6-svdt', directory(name))
        .split('\n')
        .filter((line) => line !== ''),
  }
  try {
    await until('all are supervised', 15_000, () =>
      services.every(({ name }) => spawnedOnce(() => supervised.stat(name, 'pid'))),
    )
    await use(supervised)
  } finally {
    svscan.kill('SIGTERM')
    await ended
  }
}

function spawnedOnce(look: () => string): boolean {
  try {
    return look() !== ''
  } catch {
    return false
  }
}

const isGivenUp = ({ stat }: Supervised, name: string) => stat(name, 'up,wantedup') === 'false false'
const pidWhenUp = ({ stat }: Supervised, name: string): string | null => {
  const [pid, up] = stat(name, 'pid,up').split(' ')
  return up === 'true' ? pid! : null
}

test('a crash loop pauses longer before each start, then ends', async () => {
  await withServices([crashing('loop')], async (supervised) => {
    await until('"loop" is given up', 30_000, () => isGivenUp(supervised, 'loop'))
    assert.deepEqual(supervised.logOf('loop').match(/starts again in .* s/g), [
      'starts again in 0.5 s',
      'starts again in 0.95 s',
    ])
    assert.equal(supervised.deaths('loop').length, 3)
  })
})

test('a service that was given up has its whole budget again when a person starts it', async () => {
  await withServices([crashing('loop')], async (supervised) => {
    await until('"loop" is given up', 30_000, () => isGivenUp(supervised, 'loop'))
    const before = supervised.deaths('loop')
    supervised.control('loop', '-u')
    await until('it was tried', 10_000, () => !supervised.deaths('loop').includes(before[0]!))
    await until('"loop" is given up again', 30_000, () => isGivenUp(supervised, 'loop'))
    assert.equal(supervised.deaths('loop').length, 3)
  })
})

test('a known program that ends with 0 when it is restarted by hand is never given up, a custom one is', async () => {
  const polite = ['sh', '-c', "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
  const services = [
    crashing('ollama', { type: 'ollama', command: polite }),
    crashing('background', { command: ['sh', '-c', 'sleep 0.1 &'] }),
  ]
  await withServices(services, async (supervised) => {
    for (let restarts = 1; restarts <= 4; restarts += 1) {
      await until('it runs', 20_000, () => pidWhenUp(supervised, 'ollama'))
      supervised.control('ollama', '-r')
      await until('it ended', 10_000, () => supervised.deaths('ollama').length === restarts)
    }
    await until('it runs again', 20_000, () => pidWhenUp(supervised, 'ollama'))
    await until('"background" is given up', 30_000, () => isGivenUp(supervised, 'background'))
  })
})

test('a run whose supervisor was killed is ended before the next one starts', async () => {
  await withServices([plannedService({ name: 'orphan', command: ['sleep', '1000'] })], async (supervised) => {
    const first = await until('it runs', 10_000, () => pidWhenUp(supervised, 'orphan'))
    await until('it is the program', 10_000, () => commandOf(first)?.startsWith('sleep'))
    process.kill(supervisorOf(first), 'SIGKILL')
    const second = await until('another runs', 20_000, () => {
      const pid = spawnedOnce(() => supervised.stat('orphan', 'pid')) ? pidWhenUp(supervised, 'orphan') : null
      return pid !== null && pid !== first && commandOf(pid)?.startsWith('sleep') ? pid : null
    })
    assert.equal(commandOf(first), null)
    assert.notEqual(second, first)
  })
})

test('SIGINT stops a service also where the machine was started with it ignored', async () => {
  const service = plannedService({ name: 'python', stop: { signal: 'SIGINT', timeoutMs: 60_000 } })
  const starter = ['env', '--ignore-signal=INT,QUIT']
  await withServices(
    [service],
    async (supervised) => {
      const pid = await until('it runs', 10_000, () => pidWhenUp(supervised, 'python'))
      await until('it is the program', 10_000, () => commandOf(pid)?.startsWith('sleep'))
      supervised.control('python', '-d')
      await until('it is down', 10_000, () => supervised.stat('python', 'up') === 'false')
    },
    starter,
  )
})

test('a GPU service that is held back waits for its GPU, and not for ever', async () => {
  const service = plannedService({ name: 'model', gpu: 0, command: ['sleep', '1000'] })
  await withServices([service], async (supervised) => {
    const first = await until('it runs', 10_000, () => pidWhenUp(supervised, 'model'))
    await until('it is the program', 10_000, () => commandOf(first)?.startsWith('sleep 1000'))
    const held = `${supervised.directory('model')}/../../run/held`
    mkdirSync(held)
    writeFileSync(`${held}/model`, '')
    process.kill(Number(first), 'SIGKILL')
    await until('it waits', 10_000, () =>
      supervised.logOf('model').includes('waits for the GPU memory of its last run'),
    )
    const startedMs = Date.now()
    const next = () => {
      const pid = pidWhenUp(supervised, 'model')
      return pid !== null && pid !== first && commandOf(pid)?.startsWith('sleep 1000')
    }
    assert.equal(next(), false)
    await until('it starts all the same', 30_000, next)
    assert.ok(Date.now() - startedMs > 5000, `${Date.now() - startedMs} ms`)
  })
})

test('programs in sbin are found where PATH lacks it', async () => {
  const service = plannedService({ name: 'shows', command: ['sh', '-c', 'echo "PATH=$PATH"; exec sleep 1000'] })
  const starter = ['env', 'PATH=/usr/bin:/bin']
  await withServices(
    [service],
    (supervised) =>
      until('it says its PATH', 10_000, () => /PATH=\S+/.exec(logOrNothing(supervised))).then(([path]) => {
        assert.equal(path, 'PATH=/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin')
      }),
    starter,
  )
})

function logOrNothing({ logOf }: Supervised): string {
  try {
    return logOf('shows')
  } catch {
    return ''
  }
}

/** Says farewell while an s6-rc with these arguments runs (a shell of that name); gives the orders for the sidecar. */
async function farewellDuring(options: readonly string[]): Promise<string> {
  const directory = temporaryDirectory()
  copyFileSync('/bin/sh', `${directory}/s6-rc`)
  writeFileSync(`${directory}/s6-svc`, '#!/bin/sh\necho "$*"\n', { mode: 0o755 })
  const transaction = spawn(`${directory}/s6-rc`, ['-c', 'echo; read -r _', ...options], { stdio: 'pipe' })
  await new Promise((resolve) => transaction.stdout.once('data', resolve))
  const script = '. rootfs/usr/lib/machinegen/service.sh; farewell /run/service/sidecar || :'
  const env = { ...process.env, PATH: `${directory}:${process.env.PATH}` }
  const ended = new Promise((resolve) => transaction.once('exit', resolve))
  try {
    return execFileSync('sh', ['-c', script], { env, encoding: 'utf8' }).trim()
  } finally {
    transaction.stdin.end()
    await ended
  }
}

test('a stop of everything is announced to the sidecar, a stop of one GPU is not', async () => {
  assert.equal(await farewellDuring(['-v2', '-bda', 'change']), '-1 /run/service/sidecar')
  assert.equal(await farewellDuring(['-d', 'change', 'gpu0']), '')
  assert.equal(await farewellDuring(['-v2', '-d', 'change', 'automatic1111']), '')
})

/** Words of a process, or null where there is none; one that nobody has waited for is none. */
function commandOf(pid: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() || null
  } catch {
    return null
  }
}

const supervisorOf = (pid: string): number => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[3])

test('a program that runs as a user lives at the home of that user, and of nobody else', () => {
  const script = '. rootfs/usr/lib/machinegen/service.sh; HOME=/before; live_at_home_of "$1"; printf %s "$HOME"'
  const homeOf = (user: string) => execFileSync('sh', ['-c', script, 'sh', user], { encoding: 'utf8' })
  assert.equal(homeOf('nobody'), '/nonexistent')
  assert.equal(homeOf('no-such-user'), '/before')
})

test.run()
