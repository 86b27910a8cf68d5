/**
 * `npm run bench`: what a render costs, as multiples of an empty Node process that runs just before it. Targets: 8 GPUs in 3 x the time of an empty Node process,
 * an unchanged one in 2 x, 64 GPUs in 6 x. Ends with 1 when a target is missed. Most of a new tree is the making of
 * files: `TMPDIR=/dev/shm` measures the program rather than the disk.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile } from '../generator/compile.ts'
import { machineText } from './machine-text.ts'
import { type Compared, type Contestant, type Measured, median, raceAgainst } from './measure.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 15)
const GPU_COUNTS = [1, 2, 8, 64]
const TARGETS: Record<string, number> = { '8 GPUs, new tree': 3, '8 GPUs, unchanged': 2, '64 GPUs, new tree': 6 }
const CLI = 'dist/machinegen.cjs'

const scratch = mkdtempSync(join(tmpdir(), 'machinegen-bench-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

const machineFile = (gpus: number): string => join(scratch, `machine-${gpus}.yaml`)
const tree = (gpus: number, state: string): string => join(scratch, `tree-${gpus}-${state}`)
const render = (gpus: number, state: string): string[] => [
  process.execPath,
  CLI,
  'render',
  machineFile(gpus),
  '--out',
  tree(gpus, state),
]

function prepare(gpus: number): number {
  writeFileSync(machineFile(gpus), machineText(gpus))
  const { status, stderr } = spawnSync(process.execPath, render(gpus, 'unchanged').slice(1), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cannot prepare the bench: ${stderr}`)
  const manifest = JSON.parse(readFileSync(join(tree(gpus, 'unchanged'), '.machinegen/manifest.json'), 'utf8'))
  return Object.keys(manifest.files).length
}

function contestantsOf(gpus: number): Contestant[] {
  const fresh = tree(gpus, 'new')
  return [
    {
      name: `${gpus} GPUs, new tree`,
      command: render(gpus, 'new'),
      before: () => rmSync(fresh, { recursive: true, force: true }),
    },
    { name: `${gpus} GPUs, unchanged`, command: render(gpus, 'unchanged') },
  ]
}

/** The Python that has both packages (Debian: python3-jinja2, python3-yaml). */
function pythonWithJinja(): string | undefined {
  return ['python3', '/usr/bin/python3'].find((python) => spawnSync(python, ['-c', 'import jinja2, yaml']).status === 0)
}

function jinja(gpus: number, files: number): Contestant[] {
  const python = pythonWithJinja()
  if (python === undefined) return []
  const out = join(scratch, 'jinja')
  const before = () => {
    rmSync(out, { recursive: true, force: true })
    mkdirSync(out)
  }
  return [
    {
      name: `jinja2, ${files} files`,
      command: [python, 'bench/jinja_baseline.py', machineFile(gpus), out, String(files)],
      before,
    },
  ]
}

/** The pure part alone, warm: what a program that imports machinegen pays for each machine. */
function compileMs(gpus: number): number {
  const sources = [{ file: 'machine.yaml', text: machineText(gpus) }]
  const times = Array.from({ length: 30 }, () => {
    const startedMs = performance.now()
    compile({ sources })
    return performance.now() - startedMs
  })
  return median(times.slice(10))
}

function report(baseline: Measured, results: ReadonlyMap<string, Compared>): boolean {
  let met = true
  console.log(line('node -e 0', baseline, '1.00 x'))
  for (const [name, compared] of results) {
    const { median: ratio, low, high } = compared.ratio
    const target = TARGETS[name]
    if (target !== undefined && ratio > target) met = false
    const verdict = target === undefined ? '' : `  target ${target} x: ${ratio <= target ? 'met' : 'MISSED'}`
    console.log(`${line(name, compared, `${ratio.toFixed(2)} x (${low.toFixed(2)} to ${high.toFixed(2)})`)}${verdict}`)
  }
  return met
}

function line(name: string, { medianMs, peakBytes }: Measured, ratio: string): string {
  const memory = peakBytes === 0 ? '' : `${(peakBytes / 2 ** 20).toFixed(0).padStart(5)} MB`
  return `${name.padEnd(22)} ${medianMs.toFixed(1).padStart(7)} ms${memory}  ${ratio}`
}

const files = new Map(GPU_COUNTS.map((gpus) => [gpus, prepare(gpus)]))
console.log(`${ROUNDS} runs, whole processes, Node ${process.version}: medians, and the quartiles of the multiples`)
const { baseline, contestants } = raceAgainst(
  { name: 'node -e 0', command: [process.execPath, '-e', '0'] },
  [...GPU_COUNTS.flatMap(contestantsOf), ...jinja(8, files.get(8) ?? 0)],
  ROUNDS,
)
const met = report(baseline, contestants)
for (const gpus of GPU_COUNTS) {
  console.log(
    `compile alone, ${String(gpus).padStart(2)} GPUs: ${compileMs(gpus).toFixed(1)} ms for ${files.get(gpus)} files`,
  )
}
if (pythonWithJinja() === undefined) console.log('jinja2 not measured: no python3 with jinja2 and yaml here')
process.exitCode = met ? 0 : 1
