import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openXidCounter } from '../../runtime/sidecar/resources/kernel-log.ts'
import { createNvidiaSmi } from '../../runtime/sidecar/resources/run-nvidia-smi.ts'
import { createGpuSurveyor } from '../../runtime/sidecar/resources/survey-gpus.ts'
import { gpuFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'

/** A program that stands in for nvidia-smi. */
function program(script: string): string {
  const path = `${temporaryDirectory()}/nvidia-smi`
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

const gpus = [0, 1].map((index) => ({ ...gpuFixture(index), mock: false }))
const NO_XID = openXidCounter('/nonexistent')
const ROWS = [0, 1]
  .map((index) => `${index}, GPU-${index}, 00000000:0${index + 1}:00.0, NVIDIA L4, 5, 23034, 100, 40, 20, 72, 0, [N/A]`)
  .join('\\n')

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('rows of a program that answers become readings', async () => {
  const surveyor = createGpuSurveyor(gpus, createNvidiaSmi(program(`printf '${ROWS}\\n'`)), NO_XID)
  const { gpus: readings, gpuProblem, missingGpus } = await surveyor.survey()
  assert.equal(
    readings.map(({ index, utilization, xidErrors }) => [index, utilization, xidErrors]),
    [
      [0, 0.05, null],
      [1, 0.05, null],
    ],
  )
  assert.is(gpuProblem, null)
  assert.equal(missingGpus, [])
})

test('a program that is not installed is a problem, and no GPU counts as missing', async () => {
  const survey = await createGpuSurveyor(gpus, createNvidiaSmi('/nonexistent/nvidia-smi'), NO_XID).survey()
  assert.equal(survey, {
    gpus: [],
    gpuProblem: '/nonexistent/nvidia-smi is not installed',
    missingGpus: [],
  })
})

test('a driver that cannot be reached is a problem; one without cards misses them', async () => {
  const broken = program(`echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`)
  const survey = await createGpuSurveyor(gpus, createNvidiaSmi(broken), NO_XID).survey()
  assert.match(survey.gpuProblem ?? '', /couldn't communicate/)
  assert.equal(survey.missingGpus, [])
  const empty = program('echo "No devices were found" >&2; exit 6')
  assert.equal(await createGpuSurveyor(gpus, createNvidiaSmi(empty), NO_XID).survey(), {
    gpus: [],
    gpuProblem: null,
    missingGpus: [0, 1],
  })
})

test('an old version is asked again without the fields that it does not know', async () => {
  const calls = `${temporaryDirectory()}/calls`
  const old = program(`
echo "$1" >> ${calls}
case $1 in *mig*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; esac
case $1 in *ecc*) echo 'Field "ecc.errors.uncorrected.volatile.total" is not a valid field to query.'; exit 2;; esac
printf '0, GPU-0, 00000000:01:00.0, Tesla K80, 5, 11441, 100, 40, 20, 72\\n'`)
  const surveyor = createGpuSurveyor(gpus, createNvidiaSmi(old), NO_XID)
  const first = await surveyor.survey()
  assert.is(first.gpus[0]?.name, 'Tesla K80')
  assert.equal(first.missingGpus, [1])
  await surveyor.survey()
  assert.is(readFileSync(calls, 'utf8').trim().split('\n').length, 4, 'it remembers')
})

test('a program that hangs is killed, and the next call starts it anew', async () => {
  const pids = `${temporaryDirectory()}/pids`
  const run = createNvidiaSmi(program(`echo $$ >> ${pids}; exec sleep 600`), 400)
  const startedMs = Date.now()
  const outputs = await Promise.all([run([]), run([])])
  assert.ok(Date.now() - startedMs < 5000)
  for (const output of outputs)
    assert.match(output.kind === 'none' ? output.problem : '', /did not answer within 0.4 s/)
  const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number)
  assert.is(started.length, 2)
  await until('both are gone', 5000, () => !started.some(isAlive))
})

test('two calls at a time are one after the other', async () => {
  const lock = `${temporaryDirectory()}/lock`
  const run = createNvidiaSmi(program(`mkdir ${lock} || echo twice; sleep 0.2; rmdir ${lock}; echo done`))
  for (const output of await Promise.all([run([]), run([]), run([])])) {
    assert.is(output.kind === 'text' ? output.text : '', 'done\n')
  }
})

test('a grandchild that keeps the pipe open holds nobody up', async () => {
  const directory = temporaryDirectory()
  const run = createNvidiaSmi(program(`sleep 30 & echo $! > ${directory}/pid; echo row`), 10_000)
  const startedMs = Date.now()
  const output = await run([])
  assert.ok(Date.now() - startedMs < 5000)
  assert.equal(output, { kind: 'text', text: 'row\n', exitCode: 0 })
  process.kill(Number(readFileSync(`${directory}/pid`, 'utf8')))
})

test('what hangs at the end of the sidecar is ended with it', async () => {
  const file = `${temporaryDirectory()}/pid`
  const run = createNvidiaSmi(program(`echo $$ > ${file}.new; mv ${file}.new ${file}; exec sleep 600`), 60_000)
  const output = run([])
  await until('it runs', 5000, () => existsSync(file))
  run.close?.()
  await output
  assert.not(isAlive(Number(readFileSync(file, 'utf8'))))
})

test('processes on GPUs are read; a complaint is no empty list', async () => {
  const some = program("printf '77, 1024, GPU-0\\n'")
  assert.equal(await createGpuSurveyor(gpus, createNvidiaSmi(some), NO_XID).processes(), [
    { pid: 77, usedBytes: 1024 ** 3, gpuUuid: 'GPU-0' },
  ])
  const broken = program('echo "Failed to initialize NVML: Unknown Error"; exit 255')
  assert.is(await createGpuSurveyor(gpus, createNvidiaSmi(broken), NO_XID).processes(), null)
})

test.run()
