import { isUtf8 } from 'node:buffer'
import { diffLines, type Replacement } from './line-diff.ts'
import { formatMode, isSecretMode } from './manifest.ts'

export interface FileVersion {
  /** Permission bits. */
  readonly mode: number
  readonly content: string | Uint8Array
}

/** Lines around a change, as `git diff` and `diff -u` show them. */
const CONTEXT_LINES = 3

/**
 * One file's part of a patch in git's extended format, for `git apply` and `patch -p1`; empty where nothing differs. An
 * absent version is a file that does not exist. Modes are the real ones, not only git's two.
 *
 * Of binary files it says that they differ. The content of a file that only its owner may read, before or after, is not
 * shown.
 */
export function unifiedDiff(path: string, before: FileVersion | undefined, after: FileVersion | undefined): string {
  const oldBytes = bytesOf(before)
  const newBytes = bytesOf(after)
  const isSame = oldBytes.equals(newBytes)
  if (before?.mode === after?.mode && isSame) return ''
  const header = [`diff --git ${quote(`a/${path}`)} ${quote(`b/${path}`)}`, ...modeLines(before, after)]
  if (isSame) return `${header.join('\n')}\n`
  const isSecret = [before, after].some((version) => version !== undefined && isSecretMode(version.mode))
  if (isSecret) return secretLines(path, before, after, header)
  return `${[...header, ...contentLines(path, { before, oldBytes, after, newBytes })].join('\n')}\n`
}

/**
 * A header without content would make git create an empty file, or refuse the whole patch: it stays only for a change
 * of mode.
 */
function secretLines(
  path: string,
  before: FileVersion | undefined,
  after: FileVersion | undefined,
  header: readonly string[],
): string {
  if (before === undefined) return `# secret content differs: ${quote(path)} (new, mode ${formatMode(after!.mode)})\n`
  if (after === undefined) return `# secret content differs: ${quote(path)} (deleted)\n`
  const modes = before.mode === after.mode ? [] : header
  return `${[...modes, `# secret content differs: ${quote(path)}`].join('\n')}\n`
}

interface Versions {
  readonly before: FileVersion | undefined
  readonly oldBytes: Buffer
  readonly after: FileVersion | undefined
  readonly newBytes: Buffer
}

function bytesOf(version: FileVersion | undefined): Buffer {
  return Buffer.from(version?.content ?? '')
}

function modeLines(before: FileVersion | undefined, after: FileVersion | undefined): string[] {
  if (before === undefined) return after === undefined ? [] : [`new file mode ${gitMode(after.mode)}`]
  if (after === undefined) return [`deleted file mode ${gitMode(before.mode)}`]
  if (before.mode === after.mode) return []
  return [`old mode ${gitMode(before.mode)}`, `new mode ${gitMode(after.mode)}`]
}

/** `100` says regular file. */
function gitMode(mode: number): string {
  return `100${(mode & 0o777).toString(8).padStart(3, '0')}`
}

function contentLines(path: string, { before, oldBytes, after, newBytes }: Versions): string[] {
  const oldName = before === undefined ? '/dev/null' : `a/${path}`
  const newName = after === undefined ? '/dev/null' : `b/${path}`
  if (isBinary(oldBytes) || isBinary(newBytes)) return [`Binary files ${quote(oldName)} and ${quote(newName)} differ`]
  const oldLines = linesOf(oldBytes)
  const newLines = linesOf(newBytes)
  const hunks = hunksOf(diffLines(oldLines, newLines))
  return [
    `--- ${quoteForHunks(oldName)}`,
    `+++ ${quoteForHunks(newName)}`,
    ...hunks.flatMap((hunk) => hunkLines(hunk, oldLines, newLines)),
  ]
}

function isBinary(content: Buffer): boolean {
  return content.includes(0) || !isUtf8(content)
}

/** Each line with its newline, so that a last line without one differs from the same line with one. */
function linesOf(content: Buffer): string[] {
  const lines = content.toString('utf8').split('\n')
  const last = lines.pop()!
  const ended = lines.map((line) => `${line}\n`)
  return last === '' ? ended : [...ended, last]
}

/** Changes with less than twice the context between them share a hunk. */
function hunksOf(changes: readonly Replacement[]): Replacement[][] {
  const hunks: Replacement[][] = []
  for (const change of changes) {
    const hunk = hunks.at(-1)
    if (hunk !== undefined && change.oldStart - hunk.at(-1)!.oldEnd <= 2 * CONTEXT_LINES) hunk.push(change)
    else hunks.push([change])
  }
  return hunks
}

function hunkLines(hunk: readonly Replacement[], oldLines: readonly string[], newLines: readonly string[]): string[] {
  const first = hunk[0]!
  const last = hunk.at(-1)!
  const before = Math.min(CONTEXT_LINES, first.oldStart)
  const after = Math.min(CONTEXT_LINES, oldLines.length - last.oldEnd)
  const oldRange = formatRange(first.oldStart - before, last.oldEnd + after)
  const newRange = formatRange(first.newStart - before, last.newEnd + after)
  const lines = [`@@ -${oldRange} +${newRange} @@`]
  let shown = first.oldStart - before
  for (const { oldStart, oldEnd, newStart, newEnd } of hunk) {
    lines.push(
      ...marked(' ', oldLines.slice(shown, oldStart)),
      ...marked('-', oldLines.slice(oldStart, oldEnd)),
      ...marked('+', newLines.slice(newStart, newEnd)),
    )
    shown = oldEnd
  }
  lines.push(...marked(' ', oldLines.slice(shown, last.oldEnd + after)))
  return lines
}

function marked(mark: string, lines: readonly string[]): string[] {
  return lines.map((line) =>
    line.endsWith('\n') ? `${mark}${line.slice(0, -1)}` : `${mark}${line}\n\\ No newline at end of file`,
  )
}

/** `line,count` from 1; the count is left out where it is 1, and an empty range names the line before it. */
function formatRange(start: number, end: number): string {
  const count = end - start
  return count === 1 ? `${start + 1}` : `${count === 0 ? start : start + 1},${count}`
}

/** A tab after a name with a space keeps `patch` from reading the rest of the name as a date. */
function quoteForHunks(name: string): string {
  const quoted = quote(name)
  return quoted === name && name.includes(' ') ? `${name}\t` : quoted
}

const ESCAPES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '"': '\\"', '\\': '\\\\' }

/** Names with control characters, quotes or backslashes in C's quoting, as git reads them. */
function quote(name: string): string {
  if (!/[\u0000-\u001f\u007f"\\]/.test(name)) return name
  const octal = (character: string) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`
  return `"${name.replace(/[\u0000-\u001f\u007f"\\]/g, (character) => ESCAPES[character] ?? octal(character))}"`
}
