import { closeSync, openSync, readSync } from 'node:fs'

/** Formats whose first bytes are known; a page or an error of a server in the place of one is found out. */
const MODEL_NAME = /\.(safetensors|sft|ckpt|pt|pt2|pth|bin|pkl|gguf|onnx)$/i
const SAFETENSORS_NAME = /\.(safetensors|sft)$/i

/** Real headers have a few hundred kilobytes; what is longer is checked by its frame alone. */
const MAX_PARSED_HEADER = 16 * 1024 * 1024

/** The format's own limit (safetensors, README: "Format"). */
const MAX_HEADER = 100_000_000

/** What is wrong with a file that should be a model of this name, by what it says of itself; `null`: nothing. */
export function findContentProblem(path: string, name: string, sizeBytes: number): string | null {
  const descriptor = openSync(path, 'r')
  try {
    const start = readAt(descriptor, 0, Math.min(512, sizeBytes))
    const text = start.toString('latin1').trimStart().toLowerCase()
    if (text.startsWith('version https://git-lfs.github.com/')) return 'it is the pointer of git LFS, not the file'
    if (!MODEL_NAME.test(name)) return null
    if (/^(<!doctype html|<html|<head|<\?xml|<error>)/.test(text)) return 'it is a web page, not a model'
    if (text.startsWith('{') && isJson(descriptor, sizeBytes)) return 'it is the text of an error, not a model'
    return SAFETENSORS_NAME.test(name) ? findHeaderProblem(descriptor, sizeBytes) : null
  } finally {
    closeSync(descriptor)
  }
}

/** What services answer with when something is wrong; no model is a short JSON text. */
function isJson(descriptor: number, sizeBytes: number): boolean {
  if (sizeBytes > 65_536) return false
  try {
    JSON.parse(readAt(descriptor, 0, sizeBytes).toString('utf8'))
    return true
  } catch {
    return false
  }
}

function readAt(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let at = 0
  while (at < length) {
    const count = readSync(descriptor, bytes, at, length - at, position + at)
    if (count === 0) break
    at += count
  }
  return bytes.subarray(0, at)
}

/** A safetensors file: the length of its header in 8 bytes, the header as JSON, and data to the last byte. */
function findHeaderProblem(descriptor: number, sizeBytes: number): string | null {
  if (sizeBytes < 10) return 'it is too short for a safetensors file'
  const length = Number(readAt(descriptor, 0, 8).readBigUInt64LE())
  if (length > MAX_HEADER) return 'it is no safetensors file: its header would be too long'
  if (length > sizeBytes - 8) return `its header alone would have ${length} bytes, and it has ${sizeBytes}: it is cut`
  if (length > MAX_PARSED_HEADER) return null
  let header: unknown
  try {
    header = JSON.parse(readAt(descriptor, 8, length).toString('utf8'))
  } catch {
    return 'it is no safetensors file: its header cannot be read'
  }
  if (typeof header !== 'object' || header === null) return 'it is no safetensors file: its header is no map'
  return findOffsetProblem(header as Record<string, unknown>, sizeBytes - 8 - length)
}

function findOffsetProblem(header: Record<string, unknown>, dataBytes: number): string | null {
  let end = 0
  for (const [name, tensor] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const offsets = (tensor as { data_offsets?: unknown } | null)?.data_offsets
    if (!isRange(offsets)) return `it is no safetensors file: tensor "${name.slice(0, 80)}" has no place`
    end = Math.max(end, offsets[1])
  }
  if (end === dataBytes) return null
  return `its tensors have ${end} bytes, and ${dataBytes} follow its header: it is ${end > dataBytes ? 'cut' : 'longer'}`
}

function isRange(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false
  const [start, end] = value as unknown[]
  return Number.isSafeInteger(start) && Number.isSafeInteger(end) && (start as number) <= (end as number)
}
