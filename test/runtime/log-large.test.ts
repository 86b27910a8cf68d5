import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryDirectory } from '../temporary-directory.ts'

/** LOG_MB=10000 measures what CI has no disk for. */
const MEGABYTES = Number(process.env.LOG_MB ?? 200)
const FILE_BYTES = 16 * 1024 * 1024
const START_MS = Date.UTC(2026, 0, 31)
const LINE_EVERY_MS = 1

interface Measured {
  readonly name: string
  readonly milliseconds: number
  /** By then, since the first question. */
  readonly grownMB: number
  readonly lines: readonly string[]
  readonly isPartial: boolean
}

/** Writes files as s6-log leaves them, a line a millisecond; gives the number of lines. */
function generate(directory: string): number {
  mkdirSync(directory)
  const files = Math.ceil((MEGABYTES * 1024 * 1024) / FILE_BYTES)
  let line = 0
  for (let file = 0; file < files; file += 1) {
    const path = `${directory}/current`
    const fd = openSync(path, 'w')
    for (let bytes = 0; bytes < FILE_BYTES; ) {
      let text = ''
      for (let n = 0; n < 5000; n += 1, line += 1) {
        const level = line % 100_000 === 77_777 ? 'ERROR' : 'INFO'
        text += `${label(START_MS + line * LINE_EVERY_MS)} ${level}: step ${line} of the prompt took ${line % 997} ms on this GPU\n`
      }
      bytes += writeSync(fd, text)
    }
    closeSync(fd)
    if (file < files - 1) renameSync(path, `${directory}/${label(START_MS + line * LINE_EVERY_MS)}.s`)
  }
  return line
}

function label(timeMs: number): string {
  const seconds = Math.floor(timeMs / 1000) + 37
  const nanoseconds = Math.round((timeMs % 1000) * 1e6)
  return `@40000000${seconds.toString(16).padStart(8, '0')}${nanoseconds.toString(16).padStart(8, '0')}`
}

/** Asks in a process of its own, whose memory is only what asking takes. */
function ask(directory: string, questions: Readonly<Record<string, object>>): Measured[] {
  const program = `
    import { openLogStore } from './runtime/shared/logs/open-log-store.ts'
    const source = { service: 'app', gpu: null, directory: ${JSON.stringify(directory)}, isAccessLog: false }
    const store = openLogStore({ sources: [source], bundles: {} })
    const nothing = { services: [], gpu: null, level: null, sinceMs: null, grep: null, correlationId: null, lines: 100 }
    await store.query(nothing)
    const before = process.resourceUsage().maxRSS
    const measured = []
    for (const [name, filter] of Object.entries(${JSON.stringify(questions)})) {
      const startedMs = performance.now()
      const page = await store.query({ ...nothing, ...filter })
      const milliseconds = performance.now() - startedMs
      const grownMB = (process.resourceUsage().maxRSS - before) / 1024
      measured.push({ name, milliseconds, grownMB, isPartial: page.isPartial, lines: page.lines.map(({ message }) => message) })
    }
    console.log(JSON.stringify(measured))`
  const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(output)
}

test(`${MEGABYTES} MB of log cost bounded time and memory, whatever is asked`, () => {
  const directory = `${temporaryDirectory()}/app`
  const count = generate(directory)
  const middle = Math.floor(count / 2)
  const measured = ask(directory, {
    last: {},
    'ten thousand': { lines: 10_000 },
    middle: { untilMs: START_MS + middle * LINE_EVERY_MS, lines: 10 },
    range: { sinceMs: START_MS + middle * LINE_EVERY_MS, untilMs: START_MS + (middle + 5) * LINE_EVERY_MS },
    errors: { level: 'error', lines: 3 },
    rare: { grep: 'step 42 of' },
    none: { grep: 'no such words' },
  })
  const by = Object.fromEntries(measured.map((one) => [one.name, one]))
  for (const { name, milliseconds, isPartial, grownMB } of measured) {
    console.log(
      `${name.padEnd(14)} ${milliseconds.toFixed(1)} ms, + ${grownMB.toFixed(1)} MB${isPartial ? ', partial' : ''}`,
    )
    assert.ok(milliseconds < 15_000, `${name} took ${milliseconds} ms`)
  }
  assert.ok(by.last!.lines.at(-1)!.includes(`step ${count - 1} `))
  assert.is(by['ten thousand']!.lines.length, 10_000)
  assert.ok(by.middle!.lines.at(-1)!.includes(`step ${middle} `), by.middle!.lines.at(-1))
  assert.equal(
    by.range!.lines.map((text) => Number(/step (\d+)/.exec(text)![1])),
    [0, 1, 2, 3, 4, 5].map((n) => middle + n),
  )
  for (const name of ['last', 'middle', 'range']) assert.ok(by[name]!.milliseconds < 2000, name)
  assert.ok(by.errors!.lines.every((text) => text.startsWith('ERROR')))
  assert.ok(by.rare!.isPartial || by.rare!.lines.length === 1)
  assert.ok(measured.every(({ grownMB }) => grownMB < 100))
})

test.run()
