import { existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

export interface SpaceNeed {
  /** In a directory that need not be there yet. */
  readonly path: string
  readonly bytes: number
}

export interface SpaceShortage {
  /** A place on the volume that is too small. */
  readonly path: string
  readonly neededBytes: number
  readonly freeBytes: number
}

/** What stays free for the rest of the machine: outputs, logs, other writers. */
export const SPACE_MARGIN_BYTES = 512 * 1024 * 1024

/** The volumes on which these files, all together and with the margin, do not fit. */
export function findSpaceShortages(needs: readonly SpaceNeed[]): SpaceShortage[] {
  const volumes = new Map<number, { path: string; neededBytes: number; freeBytes: number }>()
  for (const { path, bytes } of needs) {
    const there = nearestDirectory(path)
    const { dev } = statSync(there)
    const known = volumes.get(dev)
    if (known !== undefined) known.neededBytes += bytes
    else volumes.set(dev, { path: there, neededBytes: bytes, freeBytes: freeBytes(there) })
  }
  return [...volumes.values()].filter(
    ({ neededBytes, freeBytes: free }) => neededBytes > 0 && neededBytes + SPACE_MARGIN_BYTES > free,
  )
}

function nearestDirectory(path: string): string {
  let directory = dirname(path)
  while (!existsSync(directory) && directory !== dirname(directory)) directory = dirname(directory)
  return directory
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}
