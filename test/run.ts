/**
 * Runs every `*.test.ts` below test/, each file in a process of its own, as many at a time as there are cores; prints
 * what a failing file printed, and closes with `N passed, N failed`. Arguments are parts of the paths to run:
 * `npm run test:only -- load write`.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** The slowest file (real s6, many kills) takes under two minutes on two cores; outages in their full length take longer. */
const FILE_TIMEOUT_MS = (process.env.EVENT_LONG === '1' ? 30 : 8) * 60_000

interface FileResult {
  file: string
  passed: number
  failed: number
  skipped: number
  output: string
  elapsedMs: number
}

function testFiles(parts: readonly string[]): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file))
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort()
}

/** Counts come from uvu's closing lines; a file that ends without them has failed, whatever its exit code. */
function readCounts(output: string, exitCode: number | null): Pick<FileResult, 'passed' | 'failed' | 'skipped'> {
  const count = (label: string) =>
    [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, 'gm'))].reduce((sum, match) => sum + Number(match[1]), 0)
  const [total, passed, skipped] = [count('Total'), count('Passed'), count('Skipped')]
  const failed = total - passed
  return { passed, skipped, failed: exitCode === 0 && total > 0 ? failed : Math.max(1, failed) }
}

function runFile(file: string): Promise<FileResult> {
  const startedMs = performance.now()
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', NODE_EXTRA_CA_CERTS: '' },
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    const timer = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS)
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer)
      const text = Buffer.concat(chunks).toString()
      const output = signal === null ? text : `${text}\nended by ${signal} after ${FILE_TIMEOUT_MS} ms`
      resolve({ file, output, elapsedMs: performance.now() - startedMs, ...readCounts(output, exitCode) })
    })
  })
}

const files = testFiles(process.argv.slice(2))
const results: FileResult[] = []
const queue = [...files]
await Promise.all(
  Array.from({ length: Math.min(availableParallelism(), queue.length) }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file)
      results.push(result)
      const verdict = result.failed > 0 ? 'FAIL' : 'ok  '
      console.log(
        `${verdict} ${relative('test', file)}  ${result.passed} passed, ${(result.elapsedMs / 1000).toFixed(1)} s`,
      )
      if (result.skipped > 0) console.log(`     ${result.skipped} SKIPPED:\n${result.output.trim()}`)
      if (result.failed > 0) console.log(result.output)
    }
  }),
)
const sum = (key: 'passed' | 'failed' | 'skipped') => results.reduce((total, result) => total + result[key], 0)
if (files.length === 0) console.log(`cannot run tests: no test file matches ${process.argv.slice(2).join(' ')}`)
console.log(
  `${sum('passed')} passed, ${sum('failed')} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`,
)
process.exitCode = sum('failed') > 0 || files.length === 0 ? 1 : 0
