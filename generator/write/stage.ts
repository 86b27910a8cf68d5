import { basename, dirname } from 'node:path'
import { STATE_DIRECTORY } from './artifact-path.ts'
import { neededDirectories, type WantedFile } from './compare.ts'
import {
  copyFile,
  createFile,
  DIRECTORY_MODE,
  type FileSystem,
  makeDirectory,
  NEW_FILE,
  namesIn,
  writeAll,
} from './file-system.ts'
import { formatIdentity, isAlive, ownIdentity, parseIdentity } from './lock.ts'
import { formatManifest, isSecretMode, MANIFEST_PATH, type Manifest, writeRecord } from './manifest.ts'
import { isWriteError, naming, systemCode } from './write-error.ts'

/**
 * Makes an output directory that does not exist: whole under a name beside it, then renamed.
 * @returns `false` where somebody else made it meanwhile; nothing is left behind then
 * @throws WriteError `WRITE_FAILED`; nothing is left behind then either
 */
export function stageTree(root: string, wanted: readonly WantedFile[], manifest: Manifest, fs: FileSystem): boolean {
  const stage = `${stagePrefix(root)}${formatIdentity(ownIdentity())}`
  naming('WRITE_FAILED', dirname(root), () => fs.mkdirSync(dirname(root), { recursive: true }))
  removeDeadStages(root, fs)
  try {
    fillStage(stage, wanted, manifest, fs)
    return renameUnlessThere(stage, root, fs)
  } catch (error) {
    removeStage(stage, fs)
    // the user knows the tree by its own name
    throw isWriteError(error) ? Object.assign(error, { message: error.message.replaceAll(stage, root) }) : error
  }
}

function stagePrefix(root: string): string {
  return `${dirname(root).replace(/\/$/, '')}/.${basename(root)}.machinegen-`
}

/**
 * Nobody looks into a stage, so what is no secret may have its last mode from the start. What the umask, or the access
 * list that the stage inherits, takes from a mode, it takes from all of that mode: one look at the first is enough.
 */
function fillStage(stage: string, wanted: readonly WantedFile[], manifest: Manifest, fs: FileSystem): void {
  let target = stage
  // One for all, not one a file: there are thousands.
  naming(
    'WRITE_FAILED',
    () => target,
    () => {
      makeDirectory(fs, stage)
      target = `${stage}/${STATE_DIRECTORY}`
      const isExact = makeDirectory(fs, target)
      for (const path of neededDirectories(wanted)) {
        target = `${stage}/${path}`
        if (isExact) fs.mkdirSync(target, DIRECTORY_MODE)
        else makeDirectory(fs, target)
      }
      const exactModes = new Map<number, boolean>()
      for (const file of wanted) {
        target = `${stage}/${file.path}`
        stageFile(fs, target, file, exactModes)
      }
    },
  )
  writeRecord(stage, MANIFEST_PATH, manifest, formatManifest(manifest), fs)
}

function stageFile(fs: FileSystem, path: string, file: WantedFile, exactModes: Map<number, boolean>): void {
  const { mode, original } = file
  if (isSecretMode(mode)) {
    createFile(fs, path, { mode, content: file.content })
    return
  }
  if (original !== undefined) {
    copyFile(fs, original.path, path, mode)
    return
  }
  const descriptor = fs.openSync(path, NEW_FILE, mode)
  try {
    writeAll(fs, descriptor, file.content)
  } finally {
    fs.closeSync(descriptor)
  }
  const exact = exactModes.get(mode) ?? (fs.lstatSync(path).mode & 0o7777) === mode
  exactModes.set(mode, exact)
  if (!exact) fs.chmodSync(path, mode)
}

function renameUnlessThere(stage: string, root: string, fs: FileSystem): boolean {
  try {
    fs.renameSync(stage, root)
    return true
  } catch (error) {
    if (!['EEXIST', 'ENOTEMPTY'].includes(systemCode(error) ?? ''))
      return naming('WRITE_FAILED', root, () => {
        throw error
      })
    removeStage(stage, fs)
    return false
  }
}

function removeStage(stage: string, fs: FileSystem): void {
  try {
    fs.rmSync(stage, { recursive: true, force: true })
  } catch {
    // the next run removes it, and must see the first error now
  }
}

/** Removes what killed runs staged for `root`. */
export function removeDeadStages(root: string, fs: FileSystem): void {
  const prefix = stagePrefix(root)
  const namePrefix = basename(prefix)
  const self = formatIdentity(ownIdentity())
  for (const name of namesIn(fs, dirname(root))) {
    if (!name.startsWith(namePrefix)) continue
    const identity = parseIdentity(name.slice(namePrefix.length))
    if (identity === undefined) continue
    // one of our own is from a run of this process that failed
    if (formatIdentity(identity) === self || !isAlive(identity)) removeStage(`${prefix}${formatIdentity(identity)}`, fs)
  }
}
