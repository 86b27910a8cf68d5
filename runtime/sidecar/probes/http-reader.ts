/** An answer as it was read. */
export interface ReadAnswer {
  readonly status: number
  readonly body: string
  /** There was more than `headBytes`. */
  readonly isCut: boolean
  /** The connection can take another question. */
  readonly isReusable: boolean
}

export interface AnswerReader {
  /** Takes bytes, which it copies. Gives the answer as soon as it is whole, or cut; throws for what is no answer. */
  readonly push: (bytes: Buffer) => ReadAnswer | null
  /** Nothing more comes. Throws where something is missing. */
  readonly end: () => ReadAnswer
}

/** More than any answer that is asked for; ComfyUI's health with eight GPUs has 4 KB. */
const MAX_BODY_BYTES = 1024 ** 2
const MAX_HEAD_BYTES = 16 * 1024
/** The line before a piece of a body: its size and perhaps an extension. */
const MAX_SIZE_LINE_BYTES = 256

/**
 * Reads one answer of HTTP/1 to a GET or POST, of bounded size. For questions to the services of this machine: it knows no
 * compression, for which nobody asked. `headBytes`: more of the body than about this much is not wanted.
 */
export function readAnswer(headBytes = Number.POSITIVE_INFINITY): AnswerReader {
  let head: Head | null = null
  let body: BodyReader | null = null
  let rest: Buffer = EMPTY

  const finish = (isWhole: boolean): ReadAnswer => {
    const { bytes } = body!
    const isCut = bytes.length > headBytes
    return { status: head!.status, body: bytes.text(), isCut, isReusable: isWhole && !isCut && head!.keepsOpen }
  }

  const readHeads = (): boolean => {
    while (head === null || head.status < 200) {
      const end = rest.indexOf('\r\n\r\n')
      if (end === -1 && rest.length <= MAX_HEAD_BYTES) return false
      if (end === -1 || end > MAX_HEAD_BYTES) throw new Error(`its headers are larger than ${MAX_HEAD_BYTES} bytes`)
      head = parseHead(rest.toString('latin1', 0, end))
      rest = rest.subarray(end + 4)
    }
    body ??= openBody(head)
    return true
  }

  return {
    push: (bytes) => {
      rest = rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([rest, bytes])
      if (!readHeads()) return null
      const isWhole = body!.take(rest)
      rest = body!.rest()
      if (body!.bytes.length > headBytes || isWhole) return finish(isWhole && rest.length === 0)
      if (body!.bytes.length > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`)
      return null
    },
    end: () => {
      if (body === null) throw new Error('the connection was closed without an answer')
      if (!body.endsWithConnection) throw new Error('the connection was closed in the middle of the answer')
      return finish(false)
    },
  }
}

const EMPTY: Buffer = Buffer.alloc(0)

interface Head {
  readonly status: number
  readonly keepsOpen: boolean
  readonly isChunked: boolean
  /** `null` where the head does not say it. */
  readonly length: number | null
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const [, minor, status] = /^HTTP\/1\.(\d) (\d{3})(?: |$)/.exec(first) ?? []
  if (status === undefined) throw new Error('the answer is not HTTP')
  const head = { status: Number(status), keepsOpen: minor !== '0', isChunked: false, length: null as number | null }
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (!FRAMING.has(name)) continue
    const value = line
      .slice(colon + 1)
      .trim()
      .toLowerCase()
    if (name === 'connection') head.keepsOpen &&= !value.includes('close')
    else if (name === 'transfer-encoding') head.isChunked = value.endsWith('chunked')
    else if (/^\d{1,15}$/.test(value) && (head.length ?? Number(value)) === Number(value)) head.length = Number(value)
    else throw new Error(`its content-length is "${value.slice(0, 40)}"`)
  }
  return head
}

const FRAMING = new Set(['connection', 'transfer-encoding', 'content-length'])

interface BodyReader {
  readonly bytes: Bytes
  /** Says whether the body is whole. */
  readonly take: (piece: Buffer) => boolean
  /** What was not taken: the beginning of something, or what came after the end. */
  readonly rest: () => Buffer
  readonly endsWithConnection: boolean
}

function openBody({ status, isChunked, length }: Head): BodyReader {
  if (status === 204 || status === 304) return sizedBody(0)
  if (isChunked) return chunkedBody()
  return sizedBody(length)
}

/** `null`: up to the end of the connection. */
function sizedBody(length: number | null): BodyReader {
  const bytes = collectBytes()
  let rest: Buffer = EMPTY
  return {
    bytes,
    take: (piece) => {
      const wanted = Math.min(piece.length, (length ?? Number.POSITIVE_INFINITY) - bytes.length)
      bytes.add(piece.subarray(0, wanted))
      rest = piece.subarray(wanted)
      return bytes.length === length
    },
    rest: () => rest,
    endsWithConnection: length === null,
  }
}

function chunkedBody(): BodyReader {
  const bytes = collectBytes()
  let rest: Buffer = EMPTY
  /** Bytes that are left of the present piece with the line end behind it; 0 before the line with the next one's size. */
  let left = 0
  let isLast = false

  /** Goes one step on; `false` where more bytes are needed for it. */
  const step = (): boolean => {
    if (left > 0) {
      const taken = Math.min(rest.length, left)
      if (left > 2) bytes.add(rest.subarray(0, Math.min(taken, left - 2)))
      left -= taken
      rest = rest.subarray(taken)
      return taken > 0
    }
    const end = rest.indexOf('\r\n')
    if (end === -1 && rest.length <= MAX_SIZE_LINE_BYTES) return false
    const [, digits] = /^([\da-f]{1,8})[ \t]*(?:;|$)/i.exec(rest.toString('latin1', 0, Math.max(end, 0))) ?? []
    if (digits === undefined) throw new Error('the answer has a piece without a size')
    rest = rest.subarray(end + 2)
    const size = Number.parseInt(digits, 16)
    if (size === 0) isLast = true
    else left = size + 2
    return !isLast
  }

  /** Behind the last piece: trailers, which nobody needs, and an empty line. */
  const isOver = (): boolean => {
    const end = rest.toString('latin1', 0, 2) === '\r\n' ? 2 : rest.indexOf('\r\n\r\n') + 4
    if (end < 4 && end !== 2) {
      if (rest.length > MAX_HEAD_BYTES) throw new Error(`its trailers are larger than ${MAX_HEAD_BYTES} bytes`)
      return false
    }
    rest = rest.subarray(end)
    return true
  }

  return {
    bytes,
    take: (piece) => {
      rest = piece
      while (!isLast && step());
      return isLast && isOver()
    },
    rest: () => rest,
    endsWithConnection: false,
  }
}

interface Bytes {
  readonly length: number
  readonly add: (piece: Buffer) => void
  readonly text: () => string
}

function collectBytes(): Bytes {
  const pieces: Buffer[] = []
  let length = 0
  return {
    get length() {
      return length
    },
    add: (piece) => {
      if (piece.length === 0) return
      pieces.push(piece)
      length += piece.length
    },
    text: () => (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)).toString(),
  }
}
