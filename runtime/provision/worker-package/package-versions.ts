import { randomBytes } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { basename } from 'node:path'
import type { PlannedWorkerPackage } from '../../../schema/plan.ts'

/** The versions of the package on the volume: `versions/<name>`, and the links `current` and `previous`. */
export interface PackageVersions {
  readonly current: () => string | null
  readonly previous: () => string | null
  /** A directory for a version that is not complete; leftovers of others are removed first. */
  readonly begin: () => string
  /** Removes one that will never be complete. */
  readonly drop: (directory: string) => void
  /** Gives a complete directory its name. One of that name is the same version, and is kept. */
  readonly keep: (directory: string, name: string) => void
  readonly has: (name: string) => boolean
  /** Makes a version the current one, in one step; the one before becomes the previous one, all others go. */
  readonly switchTo: (name: string) => void
}

type Place = Pick<PlannedWorkerPackage, 'directory' | 'entryLink'>

const UNFINISHED = '.new-'

export function openVersions({ directory, entryLink }: Place): PackageVersions {
  const versions = `${directory}/versions`
  const linked = (link: 'current' | 'previous'): string | null => {
    const name = readLink(`${directory}/${link}`)
    return name !== null && isUsable(`${versions}/${name}/${entryLink}`) ? name : null
  }
  return {
    current: () => linked('current'),
    previous: () => linked('previous'),
    has: (name) => isUsable(`${versions}/${name}/${entryLink}`),
    begin: () => {
      mkdirSync(versions, { recursive: true })
      for (const name of namesIn(versions)) if (name.startsWith(UNFINISHED)) remove(`${versions}/${name}`)
      const unfinished = `${versions}/${UNFINISHED}${randomBytes(6).toString('hex')}`
      mkdirSync(unfinished, { mode: 0o755 })
      return unfinished
    },
    drop: remove,
    keep: (unfinished, name) => {
      const place = `${versions}/${name}`
      if (isUsable(`${place}/${entryLink}`)) return remove(unfinished)
      remove(place)
      renameSync(unfinished, place)
    },
    switchTo: (name) => {
      const before = linked('current')
      point(directory, 'current', name)
      if (before !== null && before !== name) point(directory, 'previous', before)
      const kept = new Set([linked('current'), linked('previous')])
      for (const other of namesIn(versions)) if (!kept.has(other)) remove(`${versions}/${other}`)
    },
  }
}

const remove = (path: string): void => rmSync(path, { recursive: true, force: true })

/** The name of the version that a link of ours points to. */
function readLink(path: string): string | null {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return null
  const target = readlinkSync(path)
  return target === `versions/${basename(target)}` ? basename(target) : null
}

const isUsable = (entry: string): boolean => statSync(entry, { throwIfNoEntry: false })?.isFile() === true

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function point(directory: string, link: string, name: string): void {
  const path = `${directory}/${link}`
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !there.isSymbolicLink()) {
    throw new Error(`cannot switch to version "${name}": "${path}" is in the place of the link to it; move it away`)
  }
  const temporary = `${directory}/.${link}-${randomBytes(6).toString('hex')}`
  symlinkSync(`versions/${name}`, temporary)
  renameSync(temporary, path)
}
