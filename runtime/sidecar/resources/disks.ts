import type { StatsFs } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'
import type { ResourceSnapshot } from './resource-snapshot.ts'

export type DiskReading = ResourceSnapshot['disks'][number]

/** A file server that is away keeps whoever asks it waiting. */
const TIMEOUT_MS = 3000

/**
 * A reader of the file systems that these paths are on, each once, by the first of its paths. Paths that do not exist
 * yet are left out; so is a path that has not answered in time, and it is not asked again before it has.
 */
export function createDiskReader(paths: readonly string[]): () => Promise<readonly DiskReading[]> {
  const waiting = new Set<string>()

  const read = async (path: string) => {
    waiting.add(path)
    try {
      const [{ dev }, system] = await Promise.all([stat(path), statfs(path)])
      return { dev, reading: toReading(path, system) }
    } catch {
      return null
    } finally {
      waiting.delete(path)
    }
  }

  return async () => {
    const found = await Promise.all(paths.filter((path) => !waiting.has(path)).map((path) => inTime(read(path))))
    const distinct = new Map<number, DiskReading>()
    for (const disk of found) if (disk !== null && !distinct.has(disk.dev)) distinct.set(disk.dev, disk.reading)
    return [...distinct.values()]
  }
}

/** `bavail`: what those who are not root may still use; the rest is no room for models. */
function toReading(path: string, { bsize, blocks, bavail, files, ffree }: StatsFs): DiskReading {
  // File systems that make inodes as they need them say 0 of 0.
  return { path, totalBytes: blocks * bsize, freeBytes: bavail * bsize, freeInodes: files === 0 ? null : ffree }
}

function inTime<T>(work: Promise<T>): Promise<T | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), TIMEOUT_MS)
    timer.unref()
    void work.then((value) => {
      clearTimeout(timer)
      resolve(value)
    })
  })
}
