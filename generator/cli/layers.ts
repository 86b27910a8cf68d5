import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import { MAX_INPUT_BYTES } from '../load/decode-text.ts'
import type { MachineSource } from '../load/load-machine.ts'
import { EXIT, failure } from './failure.ts'

const DEFAULT_FILES = ['machine.yaml', 'machine.yml', 'machine.json']

/** `-` by the name that findings show. */
const STANDARD_INPUT = 'stdin'

/** The layers that a command line names, lowest first: the plain words, then each `-f`; the default file where there is none. */
export function layerFiles(words: readonly string[], files: readonly string[]): readonly string[] {
  const named = [...words, ...files]
  if (named.indexOf('-') !== named.lastIndexOf('-')) throw failure(EXIT.usage, 'cannot read standard input twice')
  if (named.length > 0) return named
  const found = DEFAULT_FILES.find((file) => existsSync(file))
  if (found !== undefined) return [found]
  const hint = 'name one, or make one with: machinegen init'
  throw failure(EXIT.usage, `cannot find a machine file: there is no ${DEFAULT_FILES.join(', ')} here`, hint)
}

/** Their bytes. */
export function readLayers(files: readonly string[]): readonly (MachineSource & { readonly text: Uint8Array })[] {
  return files.map((file) =>
    file === '-' ? { file: STANDARD_INPUT, text: readStart(0) } : { file, text: readFile(file) },
  )
}

/** The lock file of these layers: `machine.lock.json` beside `machine.yaml`, the lowest; `null` for standard input. */
export function lockFileOf([lowest]: readonly string[]): string | null {
  return lowest === undefined || lowest === '-' ? null : `${lowest.replace(/\.(ya?ml|json)$/, '')}.lock.json`
}

/** The lock of these layers, where they have one. */
export function readLockOf(files: readonly string[]): { readonly file: string; readonly text: string } | null {
  const file = lockFileOf(files)
  if (file === null) return null
  try {
    return { file, text: readFileSync(file, 'utf8') }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw failure(EXIT.system, `cannot read "${file}": ${REASONS[code ?? ''] ?? message}`)
  }
}

function readFile(file: string): Uint8Array {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    return readStart(descriptor)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw failure(EXIT.system, `cannot read "${file}": ${REASONS[code ?? ''] ?? message}`)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
}

const CHUNK_BYTES = 64 * 1024

/** No more of it than shows that it is too large: the file may be a device without an end. */
function readStart(descriptor: number): Uint8Array {
  const chunks: Buffer[] = []
  let total = 0
  while (total <= MAX_INPUT_BYTES) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const length = readSome(descriptor, chunk)
    if (length === 0) break
    chunks.push(chunk.subarray(0, length))
    total += length
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

/** How long to wait where standard input does not block and has nothing yet. */
const INPUT_RETRY_MS = 5

function readSome(descriptor: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, chunk, 0, chunk.length, null)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EOF') return 0
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, INPUT_RETRY_MS)
    }
  }
}
