import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { chooseOutput } from '../../runtime/provision/framework/report-output.ts'
import { createReporter } from '../../runtime/provision/framework/reporter.ts'
import { runCommand } from '../../runtime/provision/framework/run-command.ts'
import { runTask } from '../../runtime/provision/framework/run-task.ts'
import { createTally } from '../../runtime/provision/framework/tally.ts'
import { openTaskState } from '../../runtime/provision/framework/task-state.ts'
import { readProgress } from '../../runtime/shared/provision-progress.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const isNumber = (value: unknown): value is number => typeof value === 'number'

function startTask(root: string, ...args: string[]): ChildProcess & { output: () => string } {
  const words = ['--import', 'tsx', 'test/runtime/provision-task.fixture.ts', root, ...args]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  return Object.assign(child, { output: () => text })
}

async function until(what: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 30_000
  while (!what()) {
    if (Date.now() > deadlineMs) throw new Error('it never came')
    await delay(20)
  }
}

const events = (root: string): Record<string, unknown>[] => {
  const spool = `${root}/workspace/.machine/spool`
  return readdirSync(spool)
    .sort()
    .map((name) => JSON.parse(readFileSync(`${spool}/${name}`, 'utf8')))
}

const isAlive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

test('two at once do the work once, and both end with success', async () => {
  const root = temporaryDirectory()
  const both = [startTask(root), startTask(root)]
  const codes = await Promise.all(both.map(async (child) => (await once(child, 'exit'))[0]))
  assert.equal(codes, [0, 0])
  assert.is(readFileSync(`${root}/work`, 'utf8').trim().split('\n').length, 1)
  const said = both.map((child) => child.output()).join('')
  assert.match(said, /"item":"it","status":"ok"/)
  assert.match(said, /"item":"it","status":"skipped"/)
  const left = readdirSync(`${root}/workspace/.machine/provision`)
  assert.equal(left, ['slow.json'], 'no lock is left')
})

test('a lock whose process was killed, or whose container is gone, holds nobody up', async () => {
  const root = temporaryDirectory()
  const first = startTask(root)
  await until(() => existsSync(`${root}/work`))
  first.kill('SIGKILL')
  await once(first, 'exit')
  const directory = `${root}/workspace/.machine/provision`
  assert.ok(readdirSync(directory).some((name) => name.startsWith('.lock-slow-')))
  writeFileSync(`${directory}/.lock-slow-er-1-1-abc`, '', { flag: 'wx' })
  assert.is((await once(startTask(root), 'exit'))[0], 0)
  assert.is(readFileSync(`${root}/work`, 'utf8').trim().split('\n').length, 2)
  assert.equal(readdirSync(directory).sort(), ['.lock-slow-er-1-1-abc', 'slow.json'], 'the lock of another task stays')
})

test('SIGTERM ends a task at once, with the programs that it runs', async () => {
  const root = temporaryDirectory()
  const child = startTask(root, 'child')
  await until(() => existsSync(`${root}/work`))
  const children = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
  await until(() => children() !== '')
  const grandchild = Number(children().split(' ')[0])
  const startMs = Date.now()
  child.kill('SIGTERM')
  const [, signal] = await once(child, 'exit')
  assert.is(signal, 'SIGTERM')
  assert.ok(Date.now() - startMs < 5000)
  await until(() => !isAlive(grandchild))
})

test('a run leaves its start, its items and its end as events, and its progress in a file', async () => {
  const root = temporaryDirectory()
  const plan = planFixture({ root })
  const request = { task: 'nodes', plan, environment: {}, dryRun: false, json: false, stdout: { write: () => true } }
  const code = await runTask(request, {
    preview: async () => [],
    run: async ({ report }) => {
      report.expect({ items: 2, bytes: 300 })
      report.phase('cloning')
      report.update('a', 100, 100)
      report.settle('a', 'ok', undefined, { commit: 'abc' })
      report.settle('b', 'failed', 'no such host')
      return { failures: ['cannot clone "b": no such host'], warnings: ['c is old'] }
    },
  })
  assert.is(code, 1)
  assert.equal(
    events(root).map(({ type, status, service }) => [type, status, service]),
    [
      ['provision.started', undefined, 'nodes'],
      ['provision.progress', 'starting', 'nodes'],
      ['provision.item', 'ok', 'nodes'],
      ['provision.item', 'failed', 'nodes'],
      ['provision.failed', undefined, 'nodes'],
    ],
  )
  const progress = readProgress(plan.paths, 'nodes')!
  const { state, phase, problem, done, total, bytes, totalBytes } = progress
  assert.equal(
    { state, phase, problem, done, total, bytes, totalBytes },
    {
      state: 'failed',
      phase: 'failed',
      problem: 'cannot clone "b": no such host',
      done: 2,
      total: 2,
      bytes: 100,
      totalBytes: 300,
    },
  )
})

test('what a task throws is its failure, and a dry run does nothing', async () => {
  const root = temporaryDirectory()
  const plan = planFixture({ root })
  let said = ''
  const stdout = { write: (text: string) => (said += text) }
  const request = { task: 'broken', plan, environment: {}, dryRun: false, json: false, stdout }
  const provisioner = {
    preview: async () => ['fetch a', 'fetch b'],
    run: () => Promise.reject(new Error('the volume is full')),
  }
  assert.is(await runTask({ ...request, dryRun: true }, provisioner), 0)
  assert.is(said, 'fetch a\nfetch b\n')
  assert.not(existsSync(`${root}/workspace`))
  assert.is(await runTask(request, provisioner), 1)
  assert.match(said, /broken: the volume is full\nbroken: failed\n$/)
})

test('progress events come once a second and the file four times, however often a task reports', () => {
  const root = temporaryDirectory()
  const { paths } = planFixture({ root })
  let nowMs = 1_000_000
  let painted = 0
  const output = { progress: () => (painted += 1), item: () => {}, note: () => {}, end: () => {} }
  const report = createReporter({ paths, task: 'models', output, nowMs: () => nowMs })
  for (let index = 0; index < 3000; index += 1) {
    report.update('a', index, 3000)
    nowMs += 1
  }
  assert.is(events(root).filter(({ type }) => type === 'provision.progress').length, 3)
  assert.is(painted, 12)
})

test('the rate counts what came in, not what was there', () => {
  const tally = createTally()
  tally.expect({ items: 2, bytes: 2_000_000 })
  for (let second = 0; second <= 5; second += 1) tally.update('a', 500_000 + second * 100_000, 1_000_000, second * 1000)
  const view = tally.view(5000)
  assert.is(view.bytes, 1_000_000)
  assert.is(view.bytesPerSecond, 100_000)
  assert.is(view.etaSeconds, 10)
  assert.is(tally.view(60_000).bytesPerSecond < 15_000, true, 'a stall shows')
})

test('state survives, and what cannot be read counts as none', () => {
  const { paths } = planFixture({ root: temporaryDirectory() })
  const state = openTaskState(paths, 'models', isNumber)
  state.set('b', 2)
  state.set('a', 1)
  state.set('b', null)
  assert.equal(openTaskState(paths, 'models', isNumber).entries(), [['a', 1]])
  const isText = (value: unknown): value is string => typeof value === 'string'
  assert.equal(openTaskState(paths, 'models', isText).entries(), [])
  mkdirSync(`${paths.state}/provision`, { recursive: true })
  writeFileSync(`${paths.state}/provision/models.json`, '{"v":1,"entr')
  assert.equal(openTaskState(paths, 'models', isNumber).entries(), [])
})

test('a program that is missing, fails or takes too long is told as such', async () => {
  const missing = await runCommand(['no-such-program-here'])
  assert.equal([missing.code, missing.problem], [null, 'cannot run "no-such-program-here": it is not installed'])
  const lines: string[] = []
  const failed = await runCommand(['sh', '-c', 'cat; echo "bad luck" >&2; exit 3'], {
    input: 'given\n',
    onLine: (line, stream) => lines.push(`${stream} ${line}`),
  })
  assert.is(failed.code, 3)
  assert.equal(lines.sort(), ['stderr bad luck', 'stdout given'])
  const late = await runCommand(['sleep', '60'], { timeoutMs: 100 })
  assert.is(late.problem, '"sleep" did not end within 0.1 s')
})

test('a terminal gets bars, a pipe plain lines', () => {
  const progress = {
    v: 1,
    task: 'models',
    service: 'models',
    pid: 1,
    state: 'running',
    phase: 'downloading',
    item: 'sd_xl.safetensors',
    bytes: 1_500_000_000,
    totalBytes: 6_000_000_000,
    bytesPerSecond: 45_000_000,
    etaSeconds: 100,
    done: 1,
    total: 3,
    problem: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    at: '2026-01-01T00:00:10.000Z',
  } as const
  const active = [{ item: 'sd_xl.safetensors', bytes: 1_500_000_000, totalBytes: 6_000_000_000 }]
  const said = (isTTY: boolean) => {
    let text = ''
    chooseOutput('models', { isTTY, columns: 80, rows: 24, write: (more) => (text += more) }, false).progress(
      progress,
      active,
    )
    return text
  }
  const summary = 'models: downloading, 1 of 3, 1.5 GB of 6.0 GB (25 %), 45.0 MB/s, 2 min left'
  assert.is(said(false), `${summary}\n`)
  assert.ok(said(true).includes('[#####---------------] 1.5 GB of 6.0 GB'))
  assert.ok(said(true).includes(summary))
})

test.run()
