import { spawn } from 'node:child_process'
import { appendFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type LogTail, openLogTail } from '../../runtime/sidecar/probes/log-tail.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'

const stamp = (atMs: number) => {
  const at = new Date(atMs - new Date(atMs).getTimezoneOffset() * 60_000).toISOString()
  return `${at.slice(0, 10)} ${at.slice(11, 23)}000000  `
}

/** A log with these lines. */
function logOf(...lines: string[]) {
  const path = `${temporaryDirectory()}/current`
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return path
}

test('what was there before is not read, and times are taken off', async () => {
  const path = logOf('old')
  const tail = openLogTail(path, null)
  assert.equal(await tail.read(), [])
  appendFileSync(path, `${stamp(Date.now())}new\n@4000000068a1b2c3075bcd15 newer\nwithout a time\n`)
  assert.equal(await tail.read(), ['new', 'newer', 'without a time'])
  assert.equal(await tail.read(), [])
  tail.close()
})

test('a line that is half written waits for its end', async () => {
  const path = logOf()
  const tail = openLogTail(path, null)
  appendFileSync(path, 'CUDA er')
  assert.equal(await tail.read(), [])
  appendFileSync(path, 'ror\nnext')
  assert.equal(await tail.read(), ['CUDA error'])
  tail.close()
})

test('a log that does not exist yet is read from its beginning', async () => {
  const path = `${temporaryDirectory()}/current`
  const tail = openLogTail(path, null)
  assert.is(await tail.read(), null)
  writeFileSync(path, 'first\n')
  assert.equal(await tail.read(), ['first'])
  tail.close()
})

test('nothing is lost when the log is rotated between two looks', async () => {
  const path = logOf()
  const tail = openLogTail(path, null)
  appendFileSync(path, 'one\n')
  assert.equal(await tail.read(), ['one'])
  appendFileSync(path, 'two\n')
  renameSync(path, `${path}.archived`)
  writeFileSync(path, 'three\n')
  assert.equal(await tail.read(), ['two'])
  assert.equal(await tail.read(), ['three'])
  tail.close()
})

test('a run that was found running is read from its launch on', async () => {
  const path = logOf(
    `${stamp(1_700_000_000_000)}before`,
    'of the line before',
    `${stamp(1_700_000_100_000)}after`,
    'of it',
  )
  const tail = openLogTail(path, 1_700_000_050_000)
  assert.equal(await tail.read(), ['after', 'of it'])
  appendFileSync(path, 'later\n')
  assert.equal(await tail.read(), ['later'])
  tail.close()
})

test('a call reads a megabyte, and a flood is cut short', async () => {
  const path = logOf()
  const tail = openLogTail(path, null)
  appendFileSync(path, `${'x'.repeat(99)}\n`.repeat(30_000))
  const first = (await tail.read())!
  assert.ok(first.length > 10_000 && first.length < 10_600, `${first.length} lines`)
  assert.ok((await tail.read())!.length > 10_000)
  appendFileSync(path, `${'y'.repeat(99)}\n`.repeat(200_000))
  assert.ok((await tail.read())!.length < 10_600)
  appendFileSync(path, 'end\n')
  assert.is((await tail.read())!.at(-1), 'end')
  tail.close()
})

test('a line of five megabytes does no harm', async () => {
  const path = logOf()
  const tail = openLogTail(path, null)
  appendFileSync(path, `${'z'.repeat(5_000_000)}\nend\n`)
  const lines: string[] = []
  for (let call = 0; call < 8; call++) lines.push(...((await tail.read()) ?? []))
  assert.is(lines.at(-1), 'end')
  assert.ok(lines.every(({ length }) => length < 1_100_000))
  tail.close()
})

/** Reads until the last of the lines has come. */
async function readAll(tail: LogTail, last: string): Promise<string[]> {
  const lines: string[] = []
  await until(`line ${last}`, 20_000, async () => {
    lines.push(...((await tail.read()) ?? []))
    return lines.at(-1) === last
  })
  return lines
}

test('every line that a real s6-log writes and rotates is read once', async () => {
  const directory = temporaryDirectory()
  const logger = spawn('s6-log', ['--', 'n20', 's16384', 'T', directory], { stdio: ['pipe', 'ignore', 'inherit'] })
  process.once('exit', () => logger.kill('SIGKILL'))
  await until('the logger has begun', 10_000, () => readdirSync(directory).includes('current'))
  const tail = openLogTail(`${directory}/current`, null)
  const expected: string[] = []
  const seen: string[] = []
  const ended = new Promise((resolve) => logger.once('exit', resolve))
  for (let round = 0; round < 40; round++) {
    const lines = Array.from({ length: 25 }, (_, index) => `round ${round} line ${index} ${'.'.repeat(40)}`)
    expected.push(...lines)
    logger.stdin.write(`${lines.join('\n')}\n`)
    seen.push(...(await readAll(tail, lines.at(-1)!)))
  }
  assert.equal(seen, expected)
  assert.ok(readdirSync(directory).filter((name) => name.endsWith('.s')).length >= 3, 'it was rotated')
  tail.close()
  logger.stdin.end()
  await ended
  assert.ok(statSync(`${directory}/current`).isFile())
})

test.run()
