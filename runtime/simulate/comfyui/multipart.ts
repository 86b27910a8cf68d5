/** A multipart/form-data reader that holds no more than a chunk in memory (RFC 7578, RFC 2046 §5.1.1). */

export interface PartHeader {
  readonly name: string
  /** Set for files; may be empty. */
  readonly filename: string | undefined
}

export type MultipartEvent =
  | { readonly kind: 'part'; readonly header: PartHeader }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end' }

export interface MultipartReader {
  /** What the next bytes of the body mean. Throws on a malformed part header. */
  push(chunk: Buffer): MultipartEvent[]
  /** True once the closing boundary has been read. */
  finished(): boolean
}

/** No browser sends more; what comes from a hostile client must not fill the memory. */
const MAX_HEADER_BYTES = 16 * 1024

/** The boundary of a Content-Type, or nothing if it is not multipart. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/[^;]+;.*?boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType ?? '')
  return match?.[1] ?? match?.[2]
}

export function openMultipart(boundary: string): MultipartReader {
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  // The first delimiter has no line break of its own before it.
  let held: Buffer = Buffer.from('\r\n')
  let state: 'preamble' | 'header' | 'body' | 'finished' = 'preamble'

  function readHeader(events: MultipartEvent[]): boolean {
    if (held.length < 2) return false
    if (held.subarray(0, 2).toString() === '--') {
      state = 'finished'
      return false
    }
    const end = held.indexOf('\r\n\r\n')
    if (end < 0) {
      if (held.length > MAX_HEADER_BYTES) throw new Error('part header too long')
      return false
    }
    events.push({ kind: 'part', header: parseHeader(held.subarray(0, end).toString('utf8')) })
    // The line break stays: an empty part's delimiter begins right there.
    held = held.subarray(end + 2)
    state = 'body'
    return true
  }

  function readBody(events: MultipartEvent[], skipped: number): boolean {
    const end = held.indexOf(delimiter)
    const upTo = end < 0 ? held.length - delimiter.length : end
    if (state === 'body' && upTo > skipped) events.push({ kind: 'data', bytes: held.subarray(skipped, upTo) })
    if (end < 0) return false
    if (state === 'body') events.push({ kind: 'end' })
    held = held.subarray(end + delimiter.length)
    state = 'header'
    return true
  }

  let leading = 0
  return {
    push(chunk) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      const events: MultipartEvent[] = []
      let goOn = true
      while (goOn && state !== 'finished') {
        if (state === 'header') {
          goOn = readHeader(events)
          leading = 2
        } else {
          goOn = readBody(events, leading)
          if (goOn) leading = 0
          else {
            const drop = held.length - delimiter.length
            if (drop > leading) {
              held = held.subarray(drop)
              leading = 0
            }
          }
        }
      }
      return events
    },
    finished: () => state === 'finished',
  }
}

function parseHeader(text: string): PartHeader {
  const disposition = /^content-disposition:\s*form-data;(.*)$/im.exec(text)?.[1] ?? ''
  const name = /(?:^|;|\s)name="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1]
  const plain = /filename="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1]
  const extended = /filename\*=utf-8''([^;\s]+)/i.exec(disposition)?.[1]
  const filename = extended === undefined ? plain : decodeURIComponent(extended)
  return { name: unquote(name ?? ''), filename: filename === undefined ? undefined : unquote(filename) }
}

/** Browsers escape a quote as %22, others with a backslash. */
const unquote = (text: string) => text.replaceAll(/\\(["\\])/g, '$1').replaceAll('%22', '"')
