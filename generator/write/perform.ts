import { byCodeUnits, directoriesAbove, directoryOf, temporaryFor } from './artifact-path.ts'
import { type Change, neededDirectories, type Owned, type WantedFile } from './compare.ts'
import type { Disk } from './disk.ts'
import { type FileSystem, makeDirectory, removeIfThere, repairDirectory, replaceFile } from './file-system.ts'
import {
  formatJournal,
  formatManifest,
  JOURNAL_PATH,
  type Journal,
  MANIFEST_PATH,
  type Manifest,
  removeStateLitter,
  type TreeState,
  writeRecord,
} from './manifest.ts'
import { removeDeadStages } from './stage.ts'
import { naming, systemCode } from './write-error.ts'

/** What one look at an output directory says must be done. */
export interface Work {
  readonly root: string
  readonly wanted: readonly WantedFile[]
  readonly state: TreeState
  readonly disk: Disk
  readonly owned: Owned
  readonly changes: readonly Change[]
  /** What is true when the work is done. */
  readonly manifest: Manifest
}

/**
 * Changes an output directory that exists. The journal comes first and goes last, so a tree that is between two states
 * says so; each file changes by a rename. Only for the holder of the lock.
 * @throws WriteError `WRITE_FAILED`; the journal stays if anything was changed
 */
export function perform(work: Work, fs: FileSystem): void {
  const { root, state, changes, manifest } = work
  removeStateLitter(root, fs)
  removeDeadStages(root, fs)
  const wasUnfinished = state.state === 'unfinished'
  const needsJournal = wasUnfinished || changes.some((change) => change.kind === 'remove' || needsWrite(change))
  if (needsJournal) {
    const journal = journalOf(work)
    writeRecord(root, JOURNAL_PATH, journal, formatJournal(journal), fs)
  }
  const progress = { changed: wasUnfinished }
  try {
    if (wasUnfinished) repairAfterKill(work, fs)
    changeFiles(work, fs, progress)
    writeRecord(root, MANIFEST_PATH, manifest, formatManifest(manifest), fs)
  } catch (error) {
    if (needsJournal && !progress.changed) removeIfThere(fs, `${root}/${JOURNAL_PATH}`)
    throw error
  }
  const journal = `${root}/${JOURNAL_PATH}`
  if (needsJournal) naming('WRITE_FAILED', journal, () => fs.unlinkSync(journal))
}

/** Whatever an earlier journal named is named again, as wanted or as removed: it stays ours if this run is killed too. */
function journalOf({ owned, manifest }: Work): Journal {
  const isWanted = (path: string) => manifest.files.has(path)
  return {
    ...manifest,
    directories: [...new Set([...manifest.directories, ...owned.directories])].sort(byCodeUnits),
    remove: [...owned.files.keys()].filter((path) => !isWanted(path)).sort(byCodeUnits),
  }
}

function needsWrite({ kind, mode, previousMode }: Change): boolean {
  return kind !== 'remove' && (kind !== 'adopt' || mode !== previousMode)
}

/** A killed run may have left a temporary file beside any file of its journal, and a directory before its chmod. */
function repairAfterKill({ root, owned, wanted, disk, manifest }: Work, fs: FileSystem): void {
  const paths = new Set([...owned.files.keys(), ...wanted.map((file) => file.path)])
  for (const path of paths) if (disk.isDirectory(directoryOf(path))) removeIfThere(fs, `${root}/${temporaryFor(path)}`)
  for (const path of manifest.directories)
    if (disk.isDirectory(path)) naming('WRITE_FAILED', `${root}/${path}`, () => repairDirectory(fs, `${root}/${path}`))
}

function changeFiles(work: Work, fs: FileSystem, progress: { changed: boolean }): void {
  const { root, wanted, changes, disk } = work
  const step = (path: string, action: (file: string) => void) => {
    const file = `${root}/${path}`
    naming('WRITE_FAILED', file, () => action(file))
    progress.changed = true
  }
  const removals = changes.filter((change) => change.kind === 'remove').map((change) => change.path)
  const obsolete = obsoleteDirectories(work)
  const isInTheWay = whatIsInTheWay(wanted)

  for (const path of removals.filter(isInTheWay)) step(path, (file) => fs.unlinkSync(file))
  for (const path of obsolete.filter(isInTheWay)) step(path, (file) => fs.rmdirSync(file))
  for (const path of neededDirectories(wanted))
    if (!disk.isDirectory(path)) step(path, (file) => makeDirectory(fs, file))
  const contents = new Map(wanted.map((file) => [file.path, file]))
  for (const change of changes) {
    if (!needsWrite(change)) continue
    const { content, mode } = contents.get(change.path)!
    const newFile = { content, mode, ...(change.owner && { owner: change.owner }) }
    step(change.path, (file) => replaceFile(fs, file, `${root}/${temporaryFor(change.path)}`, newFile))
  }
  for (const path of removals) if (!isInTheWay(path)) step(path, (file) => fs.unlinkSync(file))
  for (const path of obsolete) if (!isInTheWay(path)) step(path, (file) => removeIfEmpty(fs, file))
}

/** A file became a directory, or the other way round: what goes must go before what comes. */
function whatIsInTheWay(wanted: readonly WantedFile[]): (path: string) => boolean {
  const files = new Set(wanted.map((file) => file.path))
  const directories = new Set(neededDirectories(wanted))
  return (path) =>
    files.has(path) || directories.has(path) || directoriesAbove(path).some((directory) => files.has(directory))
}

/** Directories that runs made and that no artifact needs any more, innermost first. */
function obsoleteDirectories({ owned, wanted, disk }: Work): string[] {
  const needed = new Set(neededDirectories(wanted))
  return [...owned.directories]
    .filter((path) => !needed.has(path) && disk.isDirectory(path))
    .sort((a, b) => byCodeUnits(b, a))
}

function removeIfEmpty(fs: FileSystem, directory: string): void {
  try {
    fs.rmdirSync(directory)
  } catch (error) {
    // somebody else's files are in it
    if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error
  }
}
