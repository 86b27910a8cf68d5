import { constants } from 'node:os'
import type { Location } from '../diagnostics/diagnostic.ts'
import { inText, wholeOf } from './finding.ts'
import { type DirectoryEntry, directoryAt, exists, type FileEntry, fileAt, textOf } from './source-tree.ts'

export type ServiceKind = 'longrun' | 'oneshot' | 'bundle'

/** A service named by another, and where. */
export interface Reference {
  readonly name: string
  readonly place: Location
}

/** s6-rc-compile reads no more of `type` than the longest right answer, "longrun\n". */
const TYPE_BYTES = 8
/** s6-rc-compile reads as many bytes of a longrun's number as the longest one and a newline have. */
const NUMBER_BYTES = 11
/** The same for `timeout-up` and `timeout-down`, which have a reader of their own. */
const TIMEOUT_BYTES = 63
/** s6-supervise reads as many bytes of a signal. */
const SIGNAL_BYTES = 15
const UINT32_MAX = 0xffff_ffff

const head = (file: FileEntry, bytes: number) => Buffer.from(file.bytes.subarray(0, bytes)).toString('latin1')

/** The C string in a text: what stands before the first NUL. */
const beforeNul = (text: string) => text.split('\0')[0]!

/** The kind that a `type` file gives, undefined for one that s6-rc-compile refuses. */
export function readType(file: FileEntry): ServiceKind | undefined {
  const text = head(file, TYPE_BYTES)
  const word = text.endsWith('\n') ? text.slice(0, -1) : text
  if (word.length === TYPE_BYTES) return undefined
  const kind = beforeNul(word)
  return kind === 'longrun' || kind === 'oneshot' || kind === 'bundle' ? kind : undefined
}

/** The number in `notification-fd` and its like: the first line counts. Undefined for what is refused. */
export function readNumber(file: FileEntry): number | undefined {
  return parseNumber(head(file, NUMBER_BYTES).split('\n')[0]!)
}

/** The milliseconds in `timeout-up` or `timeout-down`: the whole file counts. Undefined for what is refused. */
export function readTimeout(file: FileEntry): number | undefined {
  return parseNumber(head(file, TIMEOUT_BYTES).replace(/\n+$/, ''))
}

function parseNumber(text: string): number | undefined {
  const digits = beforeNul(text)
  const value = Number(digits)
  return /^[0-9]+$/.test(digits) && value <= UINT32_MAX ? value : undefined
}

/** The signal in `down-signal` or `reload-signal`: a name with or without SIG in any case, or a number. */
export function readSignal(file: FileEntry): number | undefined {
  const text = beforeNul(head(file, SIGNAL_BYTES).split('\n')[0]!)
  const name = text.toUpperCase().replace(/^SIG/, '')
  const named = new Map(Object.entries(constants.signals)).get(`SIG${name}`)
  const value = named ?? parseNumber(name)
  return value !== undefined && value > 0 && value <= 64 ? value : undefined
}

/** Names in a file of one name a line; `#` begins a comment, blanks in front of a name do not count. */
export function readNameFile(file: FileEntry): Reference[] {
  const found: Reference[] = []
  let start = 0
  for (const line of textOf(file).split('\n')) {
    const name = beforeNul(line.replace(/^[ \t]+/, ''))
    const nameStart = start + line.length - line.replace(/^[ \t]+/, '').length
    start += line.length + 1
    if (name === '' || name.startsWith('#')) continue
    if (found.some((reference) => reference.name === name)) continue
    found.push({ name, place: inText(file, nameStart, nameStart + name.length) })
  }
  return found
}

/** Names as the files of a directory; names with a leading dot are none. */
export function readNameDirectory(directory: DirectoryEntry): Reference[] {
  return [...directory.entries.values()]
    .map((entry) => ({ name: entry.path.slice(entry.path.lastIndexOf('/') + 1), place: wholeOf(entry) }))
    .filter((reference) => !reference.name.startsWith('.'))
}

/** `<list>.d`, or where that is absent the file `<list>`; undefined where both are. */
export function readNameList(service: DirectoryEntry, list: string): Reference[] | undefined {
  const directory = directoryAt(service, `${list}.d`)
  if (directory !== undefined) return readNameDirectory(directory)
  if (exists(service, `${list}.d`)) return []
  return readNameListFile(service, list)
}

export function readNameListFile(service: DirectoryEntry, list: string): Reference[] | undefined {
  const file = fileAt(service, list)
  return file === undefined ? undefined : readNameFile(file)
}
