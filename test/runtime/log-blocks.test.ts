import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createEntryReader } from '../../runtime/shared/logs/entry-reader.ts'
import { closeFiles, openLogFiles } from '../../runtime/shared/logs/log-files.ts'
import { openLogText } from '../../runtime/shared/logs/log-text.ts'
import { readBlockBefore } from '../../runtime/shared/logs/read-backward.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const LINES = [
  'plain line',
  'INFO: marked line',
  '{"msg":"json"}',
  'Traceback (most recent call last):',
  '    Traceback (most recent call last):',
  '  File "x.py", line 1, in run',
  '    work()',
  'ValueError: no',
  '*** Error running x',
  'During handling of the above exception, another exception occurred:',
  'RuntimeError: CUDA error: bad',
  'For debugging consider passing CUDA_LAUNCH_BLOCKING=1',
  'Error: of node',
  '    at run (file.js:1:2)',
  "  code: 'X',",
  '}',
  '/app/x.py:1: UserWarning: hm',
  '',
  'p'.repeat(8192),
]

const STAMP = '@400000006b02088a29420d3f '

test('entries are the same wherever reading begins and however much is read at a time', async () => {
  const directory = temporaryDirectory()
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...LINES), { maxLength: 60 }),
      fc.integer({ min: 30, max: 20_000 }),
      fc.boolean(),
      async (lines, bytes, isStamped) => {
        const text = lines.map((line) => `${isStamped ? STAMP : ''}${line}\n`).join('')
        writeFileSync(`${directory}/current`, text)
        const reader = createEntryReader()
        const forward = [...reader.push(text), ...reader.end()]
        assert.equal(await readBackward(directory, bytes), forward)
      },
    ),
    { numRuns: 1500 },
  )
})

test('entries are the same however a text is cut in portions', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...LINES), { maxLength: 40 }),
      fc.infiniteStream(fc.nat(300)),
      (lines, cuts) => {
        const text = lines.map((line) => `${STAMP}${line}\n`).join('')
        const whole = createEntryReader()
        const parts = createEntryReader()
        const entries = []
        for (let at = 0; at < text.length; ) {
          const length = cuts.next().value as number
          entries.push(...parts.push(text.slice(at, at + length)))
          at += length
        }
        assert.equal([...entries, ...parts.end()], [...whole.push(text), ...whole.end()])
      },
    ),
    { numRuns: 300 },
  )
})

async function readBackward(directory: string, bytes: number) {
  const files = await openLogFiles(directory)
  const log = await openLogText(files, Date.now())
  try {
    const blocks = []
    for (let end = log.end; ; ) {
      const block = await readBlockBefore(log, end, bytes)
      if (block === null) return blocks.flat()
      blocks.unshift(block.entries())
      assert.ok(block.start < end, 'goes on')
      end = block.start
    }
  } finally {
    log.close()
    closeFiles(files)
  }
}

test.run()
