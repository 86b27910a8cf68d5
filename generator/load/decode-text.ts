import type { DiagnosticCode } from '../diagnostics/codes.ts'
import { type Diagnostic, TEXT_START } from '../diagnostics/diagnostic.ts'
import { errorAt, sourceText } from './source-text.ts'

/** A machine file of 64 GPUs with a thousand models has about 300 KiB. */
export const MAX_INPUT_BYTES = 2 * 1024 * 1024

/** YAML allows no control character but tab and the line ends; NUL and its like mean that the input is no text. */
const NOT_TEXT = /[\0-\x08\x0b\x0c\x0e-\x1f]/

/**
 * The text of an input, without a byte order mark, or why it cannot be read: too large, not UTF-8, or with control
 * characters. Bytes and strings are treated alike.
 */
export function decodeText(file: string, input: string | Uint8Array): { text: string } | { finding: Diagnostic } {
  if (input.length > MAX_INPUT_BYTES) {
    const sizeMiB = (input.length / 1024 / 1024).toFixed(1)
    const limitMiB = MAX_INPUT_BYTES / 1024 / 1024
    return { finding: whole(file, 'INPUT_TOO_LARGE', `cannot read the input: ${sizeMiB} MiB, over ${limitMiB} MiB`) }
  }
  if (typeof input !== 'string' && isUtf16(input)) {
    const message = 'cannot read the input as UTF-8: it begins with a UTF-16 byte order mark'
    return { finding: whole(file, 'INPUT_NOT_TEXT', message, 'save the file as UTF-8') }
  }
  const text = typeof input === 'string' ? input.replace(/^\uFEFF/, '') : decodeUtf8(input)
  if (text === undefined) return { finding: notUtf8(file, input as Uint8Array) }
  const bad = NOT_TEXT.exec(text)
  if (bad === null) return checkLineEnds(file, text)
  const name = `U+${(text.codePointAt(bad.index) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
  const message = `cannot read the input as text: it contains the control character ${name}`
  return { finding: atOffset(file, text, bad.index, message) }
}

/** YAML ends a line with a lone carriage return too; editors, line counts and the parser here do not. */
function checkLineEnds(file: string, text: string): { text: string } | { finding: Diagnostic } {
  const offset = text.search(/\r(?!\n)/)
  if (offset === -1) return { text }
  const source = sourceText(file, text, { kind: 'set' })
  const message = 'cannot read the lines: one ends with a carriage return alone'
  const place = { source, start: offset, end: offset + 1 }
  return { finding: errorAt(place, 'YAML_UNSUPPORTED', message, 'save the file with LF or CRLF line ends') }
}

function isUtf16(bytes: Uint8Array): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The first replacement character that was not in the input itself stands where the first bad byte stood. */
function notUtf8(file: string, bytes: Uint8Array): Diagnostic {
  const text = new TextDecoder('utf-8').decode(bytes)
  const offset = Math.max(0, text.indexOf('\uFFFD'))
  return atOffset(file, text, offset, 'cannot read the input as UTF-8: it contains invalid bytes')
}

function atOffset(file: string, text: string, offset: number, message: string): Diagnostic {
  const source = sourceText(file, text, { kind: 'set' })
  return errorAt({ source, start: offset, end: offset + 1 }, 'INPUT_NOT_TEXT', message, 'is this the right file?')
}

function whole(file: string, code: DiagnosticCode, message: string, hint?: string): Diagnostic {
  const finding = { code, severity: 'error' as const, message, file, range: TEXT_START }
  return hint === undefined ? finding : { ...finding, hint }
}
