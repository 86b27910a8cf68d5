import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { buildSync } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Artifact } from '../../generator/artifact.ts'
import { applyTree } from '../../generator/write/apply.ts'
import { compareTree, verifyAgainstManifest } from '../../generator/write/drift.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { crashingAt, failingAt } from './crashing-file-system.ts'
import { bigTree, HEAD_START_MS, smallTree, type TreeName } from './render-kill-trees.ts'
import { artifact, stateNames, treeOf, treeOn } from './written-trees.ts'

/** What was there when the killed run began, and what it was to become. */
interface Scenario {
  readonly from: TreeName | undefined
  readonly to: TreeName
}

const SCENARIOS: readonly Scenario[] = [
  { from: undefined, to: 'A' },
  { from: 'A', to: 'B' },
  { from: 'B', to: 'C' },
  { from: 'C', to: 'A' },
]

const KILLS = 50
const SEED = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)

function isTemporary(path: string): boolean {
  return /(^|\/)\.machinegen-[0-9a-f]+\.tmp$/.test(path)
}

/** Asserts what must hold after a kill at any moment; says which of the three it was. */
function outcomeAfterKill(out: string, before: readonly Artifact[] | undefined, after: readonly Artifact[]) {
  if (!existsSync(out)) {
    assert.is(before, undefined, 'the old tree is gone')
    return 'old'
  }
  const [oldTree, newTree, found] = [treeOf(before ?? []), treeOf(after), treeOn(out)]
  for (const [path, what] of Object.entries(found)) {
    if (isTemporary(path)) {
      if (what.includes('TOKEN=')) assert.is(what.slice(0, 4), '0600', `${path} shows a secret`)
      continue
    }
    assert.ok([oldTree[path], newTree[path]].includes(what), `${path} is neither old nor new: ${what.slice(0, 80)}`)
  }
  const { state } = verifyAgainstManifest(out)
  const is = (tree: Record<string, string>) => JSON.stringify(found) === JSON.stringify(tree)
  if (state === 'unfinished') {
    assert.is(compareTree(out, after)[0]?.kind, 'unfinished')
    return 'unfinished'
  }
  assert.ok(is(oldTree) || is(newTree), 'a tree between two states is not marked unfinished')
  return is(newTree) ? 'new' : 'old'
}

/** Asserts that a run makes the tree whole and leaves nothing of the killed one, in the directory or beside it. */
function completes(parent: string, after: readonly Artifact[]): void {
  const out = `${parent}/out`
  assert.equal(applyTree({ outputDirectory: out, artifacts: after, inputs: { run: 'next' } }).conflicts, [])
  assert.equal(treeOn(out), treeOf(after))
  assert.equal(stateNames(out), ['manifest.json'])
  assert.equal(readdirSync(parent), ['out'])
  assert.equal(verifyAgainstManifest(out), { state: 'complete', inputs: { run: 'next' }, drift: [] })
}

function prepare(from: TreeName | undefined, tree: (name: TreeName) => Artifact[]): string {
  const parent = temporaryDirectory()
  if (from !== undefined) applyTree({ outputDirectory: `${parent}/out`, artifacts: tree(from) })
  return parent
}

for (const { from, to } of SCENARIOS) {
  const after = smallTree(to)
  const before = from && smallTree(from)

  test(`a run from ${from ?? 'nothing'} to ${to} that dies before any of its calls leaves a tree that the next completes`, () => {
    const outcomes = new Set<string>()
    // the next run wants the same tree, goes back to the old one, or has moved on
    for (const next of [after, before ?? [], smallTree('B')]) {
      for (let at = 0, isOver = false; !isOver; at++) {
        const parent = prepare(from, smallTree)
        isOver = !dies(`${parent}/out`, after, at)
        outcomes.add(outcomeAfterKill(`${parent}/out`, before, after))
        completes(parent, next)
        assert.ok(at < 500, 'the run never ends')
      }
    }
    assert.equal([...outcomes].sort(), from === undefined ? ['new', 'old'] : ['new', 'old', 'unfinished'])
  })

  test(`a run from ${from ?? 'nothing'} to ${to} that dies, whose successor dies too, is completed by the third`, () => {
    const other = smallTree(to === 'A' ? 'B' : 'A')
    for (const third of [after, before ?? []])
      for (let at = 0, isOver = false; !isOver; at += 3) {
        const parent = prepare(from, smallTree)
        const out = `${parent}/out`
        isOver = !dies(out, after, at)
        for (let second = 4; second < 60; second += 17) dies(out, other, second)
        completes(parent, third)
      }
  })

  test(`a run from ${from ?? 'nothing'} to ${to} in which any call finds the disk full says so and can be repeated`, () => {
    const ENOSPC = -28
    for (let at = 0, isOver = false; !isOver; at++) {
      const parent = prepare(from, smallTree)
      const out = `${parent}/out`
      const fault = failingAt(at, 'ENOSPC', ENOSPC)
      try {
        applyTree({ outputDirectory: out, artifacts: after, fileSystem: fault.fileSystem })
        isOver = fault.calls <= at
      } catch (error) {
        const { code, message } = error as Error & { code: string }
        assert.is(code, 'WRITE_FAILED')
        assert.match(message, /^cannot write ".*": no space left on device \(ENOSPC\)$/)
        outcomeAfterKill(out, before, after)
        assert.equal(temporaryFiles(parent), [])
      }
      completes(parent, after)
    }
  })
}

/** Runs until call number `at`. @returns whether there was one: the death may also hit the last clean-up, which is silent */
function dies(outputDirectory: string, artifacts: readonly Artifact[], at: number): boolean {
  const fault = crashingAt(at)
  try {
    applyTree({ outputDirectory, artifacts, fileSystem: fault.fileSystem })
  } catch (error) {
    if (fault.calls <= at) throw error
  }
  return fault.calls > at
}

function temporaryFiles(parent: string): string[] {
  return readdirSync(parent, { recursive: true, encoding: 'utf8' }).filter(
    (path) => isTemporary(path) || path.endsWith('.tmp'),
  )
}

/** A repeatable source of numbers from 0 to 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Bundled, so that fifty starts do not take a minute. */
function bundleChild(): string {
  const outfile = `${temporaryDirectory()}/render-kill-child.mjs`
  const entry = new URL('render-kill-child.ts', import.meta.url).pathname
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile })
  return outfile
}

/** Runs the child, and kills it `killAfterMs` after it begins to write. @returns how long it wrote, if it came to its end */
function runChild(child: string, out: string, to: TreeName, killAfterMs: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const started = spawn(process.execPath, [child, out, to], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    let timer: NodeJS.Timeout | undefined
    started.stdout.on('data', (chunk: Buffer) => {
      text += chunk
      if (Number.isFinite(killAfterMs)) timer ??= setTimeout(() => started.kill('SIGKILL'), killAfterMs)
    })
    started.on('error', reject)
    started.on('close', () => {
      clearTimeout(timer)
      const written = text.split('\n')[1]
      resolve(written ? Number(written) : undefined)
    })
  })
}

test(`${KILLS} kills at random moments (KILL_SEED=${SEED}) leave the old tree, the new one, or one marked unfinished`, async () => {
  const random = randomNumbers(SEED)
  const child = bundleChild()
  const durationsMs: number[] = []
  for (const { from, to } of SCENARIOS) {
    const runsMs: number[] = []
    for (let run = 0; run < 3; run++) {
      const parent = prepare(from, bigTree)
      runsMs.push((await runChild(child, `${parent}/out`, to, Number.POSITIVE_INFINITY))!)
      assert.equal(treeOn(`${parent}/out`), treeOf(bigTree(to)))
    }
    durationsMs.push(Math.min(...runsMs))
  }
  const outcomes: Record<string, number> = { old: 0, new: 0, unfinished: 0 }
  for (let kill = 0; kill < KILLS; kill++) {
    const scenario = kill % SCENARIOS.length
    const { from, to } = SCENARIOS[scenario]!
    const parent = prepare(from, bigTree)
    await runChild(
      child,
      `${parent}/out`,
      to,
      HEAD_START_MS / 2 + random() * (durationsMs[scenario]! * 1.25 + HEAD_START_MS),
    )
    const outcome = outcomeAfterKill(`${parent}/out`, from && bigTree(from), bigTree(to))
    outcomes[outcome] = outcomes[outcome]! + 1
    completes(parent, kill % 2 === 0 ? bigTree(to) : bigTree('B'))
  }
  console.log(`runs of ${durationsMs.map((ms) => ms.toFixed(0)).join(', ')} ms; after ${KILLS} kills:`, outcomes)
  assert.ok(outcomes.unfinished! > 0, 'no kill hit a run: the test proves nothing')
})

test('a directory that a killed run was to fill keeps foreign files, and the next run completes around them', () => {
  for (let at = 0, isOver = false; !isOver; at++) {
    const parent = temporaryDirectory()
    const out = `${parent}/out`
    const foreign = artifact('s6/nginx/foreign', 'stay')
    mkdirSync(`${out}/s6/nginx`, { recursive: true })
    writeFileSync(`${out}/${foreign.path}`, 'stay')
    isOver = !dies(out, smallTree('A'), at)
    assert.is(readFileSync(`${out}/${foreign.path}`, 'utf8'), 'stay')
    applyTree({ outputDirectory: out, artifacts: smallTree('B') })
    assert.equal(treeOn(out), treeOf([...smallTree('B'), foreign]))
  }
})

test.run()
