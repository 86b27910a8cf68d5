import { parseTemplate } from '../../schema/interpolation.ts'
import { childPointer, type JsonValue, type Pointer } from '../load/origin.ts'
import type { Origins } from './locate.ts'
import { hasLiteralSecret, mayBeSecret } from './secret-places.ts'

interface Span {
  readonly start: number
  readonly end: number
}

/**
 * The texts as they may be shown: each secret that stands in one is overwritten with `*`, offsets and lines stay. An
 * excerpt of a finding about its neighbour would repeat it in the log of a build.
 */
export function hideSecrets(
  texts: ReadonlyMap<string, string>,
  document: JsonValue,
  origins: Origins,
): Map<string, string> {
  const spans = new Map<string, Span[]>()
  visit(document, '')
  return new Map([...texts].map(([file, text]) => [file, overwritten(text, spans.get(file) ?? [])]))

  function visit(value: JsonValue, pointer: Pointer): void {
    if (Array.isArray(value)) value.forEach((item, index) => void visit(item, childPointer(pointer, index)))
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) visit(item, childPointer(pointer, key))
    } else if (PLACES.test(pointer) && mayBeSecret(pointer, value) && !isReferenceOnly(value)) note(pointer)
  }

  function note(pointer: Pointer): void {
    const origin = origins.get(pointer)
    const place = origin?.kind === 'set' ? origin.location : origin?.kind === 'file' ? origin : null
    if (place === null) return
    const known = spans.get(place.file) ?? []
    known.push({ start: place.range.start.offset, end: place.range.end.offset })
    spans.set(place.file, known)
  }
}

/** Where the format has secrets; asking the schema about every value of a large file would take longer than all else. */
const PLACES = /^\/redis(\/|$)|\/(auth|env)(\/|$)/

/** What is nothing but `${NAME}` may be shown, or nothing at all, and has to be where the finding is about the reference. */
function isReferenceOnly(value: JsonValue): boolean {
  if (typeof value !== 'string') return value === null
  const parts = parseTemplate(value)
  return parts.every((part) => part.kind === 'reference') && !hasLiteralSecret(value, true)
}

function overwritten(text: string, spans: readonly Span[]): string {
  let shown = ''
  let at = 0
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    if (start < at) continue
    shown += text.slice(at, start) + text.slice(start, end).replace(/[^\r\n]/g, '*')
    at = end
  }
  return shown + text.slice(at)
}
