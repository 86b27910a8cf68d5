import { connect, type Socket } from 'node:net'
import { type ReadAnswer, readAnswer } from './http-reader.ts'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
  /** There was more than `headBytes`. */
  readonly isCut: boolean
}

export interface HttpQuestion {
  /** Sent as JSON by POST; without it, it is a GET. */
  readonly json?: unknown
  /** Reads no more than about this much of the answer, for answers whose beginning says it all. */
  readonly headBytes?: number
  /**
   * The connection may be one of an earlier question, and is kept for the next. Only for servers that serve many
   * connections at a time: one that does not would serve nobody else.
   */
  readonly keep?: boolean
}

/** Rejects where no complete answer of at most a megabyte arrives in time; a `TimeoutError` is that it was late. */
export type HttpAsk = (url: URL, timeoutMs: number, question?: HttpQuestion) => Promise<HttpAnswer>

/** A connection is used for so long: then a new one proves again that the service still takes them. */
const FRESH_MS = 30_000

/** All connections read into one piece of memory: what comes is taken out of it before the next one's turn. */
const RECEIVED = Buffer.allocUnsafe(64 * 1024)

interface Line {
  readonly socket: Socket
  readonly openedMs: number
  /** What bytes, the end and errors of the connection are for; idle ones are dropped by any of them. */
  listener: LineListener | null
}

interface LineListener {
  readonly onBytes: (bytes: Buffer) => void
  readonly onEnd: (error: Error | null) => void
}

/**
 * Asks over plain sockets: probes are most of what a sidecar does at rest, and `node:http` takes four times as much of
 * the processor for them. Connections that are kept are renewed twice a minute, and at the first sign of trouble.
 */
export function createHttpAsk(): { readonly ask: HttpAsk; readonly close: () => void } {
  const open = new Set<Line>()
  const idle = new Map<string, Line>()

  const drop = (origin: string, line: Line) => {
    if (idle.get(origin) === line) idle.delete(origin)
    open.delete(line)
    line.socket.destroy()
  }

  const dial = (url: URL): Line => {
    const onEnd = (error: Error | null) => {
      const { listener } = line
      line.listener = null
      drop(url.host, line)
      listener?.onEnd(error)
    }
    const callback = (length: number, buffer: Uint8Array): boolean => {
      if (line.listener === null) drop(url.host, line)
      else line.listener.onBytes((buffer as Buffer).subarray(0, length))
      return true
    }
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const socket = connect({
      host,
      port: Number(url.port || 80),
      noDelay: true,
      onread: { buffer: RECEIVED, callback },
    })
    const line: Line = { socket, openedMs: performance.now(), listener: null }
    open.add(line)
    socket.on('error', onEnd)
    socket.on('end', () => onEnd(null))
    socket.on('close', () => onEnd(null))
    return line
  }

  const take = (url: URL): Line | null => {
    const line = idle.get(url.host)
    if (line === undefined) return null
    idle.delete(url.host)
    if (performance.now() - line.openedMs < FRESH_MS) return line
    drop(url.host, line)
    return null
  }

  const putBack = (url: URL, line: Line, isReusable: boolean) => {
    if (!isReusable || idle.has(url.host)) return drop(url.host, line)
    line.socket.unref()
    idle.set(url.host, line)
  }

  const ask: HttpAsk = (url, timeoutMs, question = {}) =>
    new Promise((resolve, reject) => {
      const bytes = encode(url, question)
      let line: Line
      const settle = (then: () => void, isReusable: boolean) => {
        clearTimeout(timer)
        line.listener = null
        putBack(url, line, isReusable && question.keep === true)
        then()
      }
      const send = (kept: Line | null) => {
        line = kept ?? dial(url)
        line.socket.ref()
        const onAnswer = (answer: ReadAnswer | Error) =>
          answer instanceof Error
            ? settle(() => reject(answer), false)
            : settle(() => resolve(answer), answer.isReusable)
        // One that was kept may have been closed at this very moment, which says nothing of the service.
        line.listener = listenFor(question, onAnswer, kept === null ? null : () => send(null))
        line.socket.write(bytes, 'latin1')
      }
      const timer = setTimeout(() => settle(() => reject(late(timeoutMs)), false), timeoutMs)
      send(question.keep && question.json === undefined ? take(url) : null)
    })

  const close = () => {
    for (const line of open) {
      line.socket.destroy()
      line.listener?.onEnd(new Error('nobody waits for the answer any more'))
    }
    idle.clear()
    open.clear()
  }
  return { ask, close }
}

/** `orElse`: what to do where the connection ends before anything has come. */
function listenFor(
  { headBytes }: HttpQuestion,
  onAnswer: (answer: ReadAnswer | Error) => void,
  orElse: (() => void) | null,
): LineListener {
  const reader = readAnswer(headBytes)
  let isSilent = true
  const attempt = (read: () => ReadAnswer | null) => {
    let answer: ReadAnswer | Error | null
    try {
      answer = read()
    } catch (error) {
      answer = error as Error
    }
    if (answer !== null) onAnswer(answer)
  }
  return {
    onBytes: (bytes) => {
      isSilent = false
      attempt(() => reader.push(bytes))
    },
    onEnd: (error) => {
      if (isSilent && orElse !== null) orElse()
      else if (error !== null) onAnswer(error)
      else attempt(reader.end)
    },
  }
}

/** In Latin-1, of which ASCII is the part that a URL and this JSON consist of. */
function encode(url: URL, { json, keep }: HttpQuestion): string {
  const body = json === undefined ? '' : escapeBeyondAscii(JSON.stringify(json))
  const head = [
    `${json === undefined ? 'GET' : 'POST'} ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    'user-agent: machinegen-sidecar',
    'accept: */*',
    `connection: ${keep ? 'keep-alive' : 'close'}`,
    ...(json === undefined ? [] : ['content-type: application/json', `content-length: ${body.length}`]),
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

const escapeBeyondAscii = (json: string): string =>
  json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

function late(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer within ${timeoutMs} ms`), { name: 'TimeoutError' })
}
