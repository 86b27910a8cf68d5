import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { watchDirectories } from '../../runtime/shared/watch-directories.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'

/** Counts what is heard of a directory that may not exist yet, and the sweeps. */
function listen(path: string, watch?: Parameters<typeof watchDirectories>[0]['watch']) {
  const counts = { heard: 0, sweeps: 0 }
  const directories = new Map([
    [
      path,
      () => {
        counts.heard += 1
      },
    ],
  ])
  const onSweep = () => {
    counts.sweeps += 1
  }
  return { counts, ...watchDirectories({ directories, onSweep, ...(watch === undefined ? {} : { watch }) }) }
}

/** Changes a file in the directory and waits until that is heard, well before the next sweep. */
async function hears({ heard }: { heard: number }, path: string, counts: { heard: number }, withinMs = 500) {
  writeFileSync(`${path}/status.new`, String(heard))
  renameSync(`${path}/status.new`, `${path}/status`)
  await until('the change is heard', withinMs, () => counts.heard > heard)
}

test('a directory that comes later is watched, and a burst of changes is one call', async () => {
  const path = `${temporaryDirectory()}/supervise`
  const { counts, close } = listen(path)
  assert.is(counts.heard, 0)
  mkdirSync(path)
  await until('it is found', 3000, () => counts.heard === 1)
  for (let change = 0; change < 50; change += 1) writeFileSync(`${path}/status`, String(change))
  await until('the burst is heard', 1000, () => counts.heard > 1)
  assert.ok(counts.heard < 10, `${counts.heard} calls`)
  close()
})

test('a directory that is removed and made again is watched again', async () => {
  const path = `${temporaryDirectory()}/supervise`
  mkdirSync(path)
  const { counts, close } = listen(path)
  await until('it is found', 3000, () => counts.heard === 1)
  for (let round = 0; round < 3; round += 1) {
    rmSync(path, { recursive: true })
    mkdirSync(path)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await hears({ ...counts }, path, counts)
  }
  close()
})

test('a directory above that is replaced is no obstacle', async () => {
  const root = temporaryDirectory()
  const path = `${root}/app/supervise`
  mkdirSync(path, { recursive: true })
  const { counts, close } = listen(path)
  await until('it is found', 3000, () => counts.heard === 1)
  mkdirSync(`${root}/new/supervise`, { recursive: true })
  renameSync(`${root}/app`, `${root}/old`)
  renameSync(`${root}/new`, `${root}/app`)
  await until('the new one is found', 10_000, () => counts.heard > 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  await hears({ ...counts }, path, counts)
  close()
})

test('without any watch the sweeps go on', async () => {
  const path = temporaryDirectory()
  const { counts, close } = listen(path, () => {
    throw new Error('ENOSPC: the limit of watches is reached')
  })
  await until('it was swept often', 5000, () => counts.sweeps >= 3)
  assert.is(counts.heard, 0)
  close()
  const { sweeps } = counts
  await new Promise((resolve) => setTimeout(resolve, 1500))
  assert.is(counts.sweeps, sweeps, 'nothing goes on after the end')
})

test.run()
