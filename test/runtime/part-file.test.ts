import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  bytesInPart,
  discardPart,
  openPart,
  type PartFile,
  partPath,
} from '../../runtime/provision/download/part-file.ts'
import { mapPath, placeOf } from '../../runtime/provision/download/part-map.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const IDENTITY = { source: 'https://example.com/a', sizeBytes: 1000, validator: '"v1"' }

const places = ({ segments }: PartFile) => segments.map(({ start, end, done }) => [start, end, done])
const bytes = (length: number, value = 1) => Buffer.alloc(length, value)

/** Writes a number into a map as another boot, or a kill, would have left it. */
function tamper(target: string, slot: number, field: 'start' | 'end' | 'done' | 'synced', value: number): void {
  const descriptor = openSync(mapPath(target), 'r+')
  const number = Buffer.alloc(8)
  number.writeBigUInt64LE(BigInt(value))
  writeSync(descriptor, number, 0, 8, placeOf(slot, field))
  closeSync(descriptor)
}

test('a part is as large as its file, in segments without a gap, and goes on where it was', async () => {
  const target = `${temporaryDirectory()}/a`
  const part = openPart(target, IDENTITY, 3, 100)
  assert.equal(places(part), [
    [0, 100, 0],
    [100, 400, 0],
    [400, 700, 0],
    [700, 1000, 0],
  ])
  await part.write(part.segments[1]!, bytes(50))
  await part.write(part.segments[0]!, bytes(100))
  assert.equal([part.bytesDone(), part.frontier()], [150, 150])
  part.close()
  assert.is(readFileSync(partPath(target)).length, 1000)
  assert.is(bytesInPart(target, IDENTITY), 150)
  const again = openPart(target, IDENTITY, 8)
  assert.equal(places(again).slice(0, 2), [
    [0, 100, 100],
    [100, 400, 50],
  ])
  again.close()
})

test('a part of another version, size or source is begun anew, and so is one that is not whole', async () => {
  const target = `${temporaryDirectory()}/a`
  const begin = async () => {
    const part = openPart(target, IDENTITY, 1)
    await part.write(part.segments[0]!, bytes(500))
    part.close()
  }
  for (const other of [{ validator: '"v2"' }, { sizeBytes: 999 }, { source: 'https://example.com/b' }]) {
    await begin()
    const part = openPart(target, { ...IDENTITY, ...other }, 1)
    assert.is(part.bytesDone(), 0, JSON.stringify(other))
    part.close()
    discardPart(target)
  }
  for (const harm of [() => truncateSync(partPath(target), 10), () => writeFileSync(mapPath(target), '{"v":1')]) {
    await begin()
    harm()
    assert.is(bytesInPart(target, IDENTITY), 0)
  }
  discardPart(target)
  assert.equal([existsSync(partPath(target)), existsSync(mapPath(target))], [false, false])
})

test('what a power cut may have cost counts only as far as it was synced', async () => {
  const target = `${temporaryDirectory()}/a`
  const part = openPart(target, IDENTITY, 2)
  await part.write(part.segments[0]!, bytes(300))
  await part.write(part.segments[1]!, bytes(200))
  part.close()
  tamper(target, 0, 'synced', 100)
  const map = readFileSync(mapPath(target))
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  writeFileSync(mapPath(target), Buffer.from(map.toString('latin1').replace(boot, boot.replace(/./g, '0')), 'latin1'))
  const again = openPart(target, IDENTITY, 2)
  assert.equal(places(again), [
    [0, 500, 100],
    [500, 1000, 0],
  ])
  again.close()
  assert.is(bytesInPart(target, IDENTITY), 100, 'and from now on it is of this boot')
})

test('a kill in the middle of a split leaves no byte in two segments', async () => {
  const target = `${temporaryDirectory()}/a`
  const part = openPart(target, IDENTITY, 1)
  await part.write(part.segments[0]!, bytes(300))
  assert.ok(part.split(part.segments[0]!, 600) !== null)
  part.close()
  // The first of the two writes is the new segment; the second one never came.
  tamper(target, 0, 'end', 1000)
  tamper(target, 0, 'done', 700)
  tamper(target, 1, 'done', 50)
  const again = openPart(target, IDENTITY, 1)
  assert.equal(places(again), [
    [0, 600, 600],
    [600, 1000, 50],
  ])
  again.close()
})

test('whatever is written and split in whatever order, the file is right, and nothing else is left', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.record({ pick: fc.nat(), length: fc.integer({ min: 1, max: 900 }), splits: fc.boolean() }), {
        maxLength: 40,
      }),
      async (sizeBytes, count, steps) => {
        const directory = temporaryDirectory()
        const target = `${directory}/a`
        const content = Buffer.from(Array.from({ length: sizeBytes }, (_, index) => index % 251))
        let part = openPart(target, { ...IDENTITY, sizeBytes }, count)
        const fill = async (pick: number, length: number, splits: boolean) => {
          const open = part.segments.filter(({ start, end, done }) => start + done < end)
          const segment = open[pick % Math.max(1, open.length)]
          if (segment === undefined) return
          const at = segment.start + segment.done
          if (splits) part.split(segment, at + Math.ceil((segment.end - at) / 2))
          await part.write(segment, content.subarray(at, Math.min(segment.end, at + length)))
        }
        for (const { pick, length, splits } of steps) {
          await fill(pick, length, splits)
          if (pick % 5 > 0) continue
          part.close()
          part = openPart(target, { ...IDENTITY, sizeBytes }, count)
        }
        while (part.bytesDone() < sizeBytes) await fill(0, sizeBytes, false)
        assert.is(part.frontier(), sizeBytes)
        await part.install(target)
        assert.ok(readFileSync(target).equals(content))
        assert.equal(readdirSync(directory), ['a'])
      },
    ),
    { numRuns: 60 },
  )
})

test.run()
