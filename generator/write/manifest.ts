import { hash } from 'node:crypto'
import { pathProblem, STATE_DIRECTORY } from './artifact-path.ts'
import { type FileSystem, NODE_FILE_SYSTEM, namesIn, replaceFile } from './file-system.ts'
import { naming, systemCode, writeError } from './write-error.ts'

export const MANIFEST_PATH = `${STATE_DIRECTORY}/manifest.json`
/** Its presence says that the tree is neither the old one nor the new one. */
export const JOURNAL_PATH = `${STATE_DIRECTORY}/unfinished`

const VERSION = 1

export interface FileRecord {
  /** Permission bits. */
  readonly mode: number
  /** Lower-case hexadecimal. */
  readonly sha256: string
  readonly sizeBytes: number
}

/** What a run wrote: the files and directories that are ours. */
export interface Manifest {
  /** Hashes of what the tree was made from, by names of the caller's choice. */
  readonly inputs: Readonly<Record<string, string>>
  /** By path, in the order of paths. Records may be shared: most files are like many others. */
  readonly files: ReadonlyMap<string, FileRecord>
  /** Only the directories that a run made, sorted: those that may go when they become empty. */
  readonly directories: readonly string[]
}

/** What a run is about to do: the manifest it will leave, and the files it removes on the way. */
export interface Journal extends Manifest {
  readonly remove: readonly string[]
}

export interface TreeState {
  readonly state: 'absent' | 'unfinished' | 'complete'
  readonly manifest?: Manifest
  readonly journal?: Journal
  /** Names in the state directory that are neither manifest nor journal: locks, and what a killed run left. */
  readonly otherNames: readonly string[]
  /** Why the manifest or the journal cannot be used. The state is `unfinished` then. */
  readonly damage?: string
}

/** Of an output directory that does not exist. */
export const NO_TREE: TreeState = { state: 'absent', otherNames: [] }

/** Of text: of its UTF-8 form. */
export function sha256(content: string | Uint8Array): string {
  return hash('sha256', content, 'hex')
}

/** Nobody but the owner may read the file, so its content is shown nowhere. */
export function isSecretMode(mode: number): boolean {
  return (mode & 0o077) === 0
}

/** The bytes of a manifest: keys sorted, one file a line, no date. */
export function formatManifest(manifest: Manifest): string {
  return format('complete', manifest, [])
}

/** The bytes of a journal. */
export function formatJournal(journal: Journal): string {
  return format('unfinished', journal, [`"remove": ${JSON.stringify(journal.remove)}`])
}

/** Joined once: with many GPUs the text has a megabyte, which each step of nested joins would copy. */
function format(state: string, { inputs, files, directories }: Manifest, more: readonly string[]): string {
  const parts = [`{\n  "version": ${VERSION},\n  "state": "${state}",\n  "inputs": {`]
  let between = '\n    '
  const add = (key: string, value: string): void => {
    parts.push(between, JSON.stringify(key), value)
    between = ',\n    '
  }
  const begin = (text: string): void => {
    parts.push(text)
    between = '\n    '
  }
  for (const key of sortedKeys(inputs)) add(key, `: ${JSON.stringify(inputs[key])}`)
  begin('},\n  "files": {')
  const texts = new Map<FileRecord, string>()
  files.forEach((record, path) => {
    const text = texts.get(record) ?? formatRecord(record)
    texts.set(record, text)
    add(path, text)
  })
  begin('},\n  "directories": [')
  for (const path of directories) add(path, '')
  begin(']')
  for (const member of more) parts.push(',\n  ', member)
  parts.push('\n}\n')
  return parts.join('')
}

function formatRecord({ mode, sha256, sizeBytes }: FileRecord): string {
  return `: {"mode":"${formatMode(mode)}","sha256":"${sha256}","sizeBytes":${sizeBytes}}`
}

function sortedKeys(record: Readonly<Record<string, unknown>>): string[] {
  // the default order is that of code units
  return Object.keys(record).sort()
}

/** `0644` for `0o644`. */
export function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

/**
 * Reads a manifest or a journal.
 * @throws Error with a reason, without a file name. A path that leaves the output directory is refused: what the
 * manifest lists may be removed.
 */
export function parseJournal(text: string): Journal {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) throw new Error('it is not a map')
  if (value.version !== VERSION) throw new Error(`its version is ${JSON.stringify(value.version)}, not ${VERSION}`)
  const { inputs = {}, files, directories = [], remove = [] } = value
  if (!isRecord(inputs) || !isRecord(files) || !isPathList(directories) || !isPathList(remove))
    throw new Error('"inputs", "files", "directories" or "remove" is not what a run writes')
  const records = Object.entries(files).map(([path, record]) => [path, parseRecord(path, record)] as const)
  return { inputs: inputs as Record<string, string>, files: new Map(records), directories, remove }
}

function parseRecord(path: string, record: unknown): FileRecord {
  const problem = pathProblem(path)
  if (problem !== undefined) throw new Error(`it lists the path "${path}": ${problem}`)
  if (!isRecord(record) || typeof record.mode !== 'string' || !/^[0-7]{4}$/.test(record.mode))
    throw new Error(`its record of "${path}" has no mode`)
  const { sha256, sizeBytes } = record
  if (typeof sha256 !== 'string' || typeof sizeBytes !== 'number')
    throw new Error(`its record of "${path}" has no hash or no size`)
  return { mode: Number.parseInt(record.mode, 8), sha256, sizeBytes }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPathList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((path) => typeof path === 'string' && pathProblem(path) === undefined)
}

/**
 * What the last run left in `root`, without a look at the files themselves.
 * @throws WriteError `READ_FAILED` where the state directory is closed to us or no directory.
 */
export function readTreeState(root: string, fs: FileSystem = NODE_FILE_SYSTEM): TreeState {
  const directory = `${root}/${STATE_DIRECTORY}`
  const names = naming('READ_FAILED', directory, () => stateNames(directory, fs))
  const manifest = readRecord(root, MANIFEST_PATH, names, fs)
  const journal = readRecord(root, JOURNAL_PATH, names, fs)
  const damage = manifest.damage ?? journal.damage
  return {
    state: journal.present || damage !== undefined ? 'unfinished' : manifest.present ? 'complete' : 'absent',
    ...(manifest.value && { manifest: manifest.value }),
    ...(journal.value && { journal: journal.value }),
    otherNames: names.filter((name) => ![MANIFEST_PATH, JOURNAL_PATH].includes(`${STATE_DIRECTORY}/${name}`)),
    ...(damage !== undefined && { damage }),
  }
}

function stateNames(directory: string, fs: FileSystem): string[] {
  const stats = fs.lstatSync(directory, { throwIfNoEntry: false })
  if (stats === undefined) return []
  if (!stats.isDirectory()) throw writeError('READ_FAILED', directory, 'it is not a directory')
  return fs.readdirSync(directory)
}

function readRecord(root: string, path: string, names: readonly string[], fs: FileSystem) {
  if (!names.includes(path.slice(STATE_DIRECTORY.length + 1))) return { present: false }
  const file = `${root}/${path}`
  let text: string
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch (error) {
    // another run may have finished between the listing and this
    if (systemCode(error) === 'ENOENT') return { present: false }
    return naming('READ_FAILED', file, () => {
      throw error
    })
  }
  try {
    return { present: true, value: parseJournal(text) }
  } catch (error) {
    return { present: true, damage: `cannot use "${path}": ${(error as Error).message}` }
  }
}

/** Writes the manifest or the journal in one step. Its hashes would help to guess a secret: it is as closed as they. */
export function writeRecord(root: string, path: string, record: Manifest, text: string, fs: FileSystem): void {
  let isSecret = false
  record.files.forEach(({ mode }) => {
    isSecret ||= isSecretMode(mode)
  })
  const file = { content: text, mode: isSecret ? 0o600 : 0o644 }
  const target = `${root}/${path}`
  naming('WRITE_FAILED', target, () => replaceFile(fs, target, `${target}.tmp`, file))
}

/** Removes what a killed run left half written in the state directory. Only for the holder of the lock. */
export function removeStateLitter(root: string, fs: FileSystem): void {
  const directory = `${root}/${STATE_DIRECTORY}`
  for (const name of namesIn(fs, directory)) {
    const file = `${directory}/${name}`
    if (name.endsWith('.tmp')) naming('WRITE_FAILED', file, () => fs.unlinkSync(file))
  }
}
