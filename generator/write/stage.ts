import { basename, dirname } from 'node:path'
import { STATE_DIRECTORY } from './artifact-path.ts'
import { bytesOf, neededDirectories, type WantedFile } from './compare.ts'
import { createFile, type FileSystem, makeDirectory, namesIn } from './file-system.ts'
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

function fillStage(stage: string, wanted: readonly WantedFile[], manifest: Manifest, fs: FileSystem): void {
  const directories = ['', ...neededDirectories(wanted), STATE_DIRECTORY]
  for (const path of directories)
    naming('WRITE_FAILED', `${stage}/${path}`, () => makeDirectory(fs, path === '' ? stage : `${stage}/${path}`))
  const isExact = new Map<number, boolean>()
  for (const file of wanted) {
    const target = `${stage}/${file.path}`
    naming('WRITE_FAILED', target, () => stageFile(fs, target, file, isExact))
  }
  writeRecord(stage, MANIFEST_PATH, manifest, formatManifest(manifest), fs)
}

/**
 * Nobody looks into a stage, so a file that is no secret may have its last mode from the start, and Node writes a text in
 * one call. What the umask, or the access list that the stage inherits, takes from a mode, it takes from every file: one
 * look for each mode is enough.
 */
function stageFile(fs: FileSystem, path: string, { mode, content }: WantedFile, isExact: Map<number, boolean>): void {
  if (isSecretMode(mode)) {
    createFile(fs, path, { mode, content: bytesOf(content) })
    return
  }
  fs.writeFileSync(path, content, { flag: 'wx', mode })
  const exact = isExact.get(mode) ?? (fs.lstatSync(path).mode & 0o7777) === mode
  isExact.set(mode, exact)
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
