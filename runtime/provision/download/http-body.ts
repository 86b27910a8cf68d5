import { DownloadError } from './download-error.ts'
import type { ResponseHead } from './http-head.ts'

/** Takes the bytes that come in and passes on those of the body. */
export interface BodyDecoder {
  /** Gives whether the body is complete. */
  readonly push: (bytes: Buffer, emit: (bytes: Buffer) => void) => boolean
  /** Whether the end of the connection is the end of the body. */
  readonly endsWithConnection: boolean
}

/** How the body of an answer to GET is framed (RFC 9112, section 6.3). */
export function bodyDecoder({ status, headers }: ResponseHead): BodyDecoder {
  if (status === 204 || status === 304) return sized(0)
  const encoding = headers.get('transfer-encoding')?.toLowerCase()
  if (encoding !== undefined && encoding !== 'identity') {
    if (encoding !== 'chunked') throw new DownloadError('refused', `it sends its answer as "${encoding}"`)
    return chunked()
  }
  const length = headers.get('content-length')
  if (length === undefined) return { push: passOn, endsWithConnection: true }
  if (!/^\d{1,15}$/.test(length)) throw new DownloadError('refused', `it says that its length is "${length}"`)
  return sized(Number(length))
}

function passOn(bytes: Buffer, emit: (bytes: Buffer) => void): boolean {
  if (bytes.length > 0) emit(bytes)
  return false
}

function sized(length: number): BodyDecoder {
  let left = length
  return {
    endsWithConnection: false,
    push: (bytes, emit) => {
      const taken = bytes.length <= left ? bytes : bytes.subarray(0, left)
      left -= taken.length
      if (taken.length > 0) emit(taken)
      return left === 0
    },
  }
}

/** A chunk's size and extensions, or a trailer: longer ones are no HTTP. */
const MAX_LINE = 4096

type Expects = 'size' | 'data' | 'data end' | 'trailer'

function chunked(): BodyDecoder {
  let expects: Expects = 'size'
  let left = 0
  let line = ''

  /** Gives how many bytes it took. */
  const takeLine = (bytes: Buffer, at: number): number => {
    const end = bytes.indexOf(10, at)
    const stop = end === -1 ? bytes.length : end
    line += bytes.toString('latin1', at, stop)
    if (line.length > MAX_LINE) throw new DownloadError('transient', 'its chunks cannot be read')
    if (end === -1) return stop - at
    finishLine(line.replace(/\r$/, ''))
    line = ''
    return stop - at + 1
  }
  let isDone = false
  const finishLine = (text: string): void => {
    if (expects === 'trailer') isDone = text === ''
    else if (expects === 'data end') expects = 'size'
    else {
      const size = /^([0-9a-f]{1,12})\s*(;|$)/i.exec(text)?.[1]
      if (size === undefined) throw new DownloadError('transient', 'its chunks cannot be read')
      left = Number.parseInt(size, 16)
      expects = left === 0 ? 'trailer' : 'data'
    }
  }
  return {
    endsWithConnection: false,
    push: (bytes, emit) => {
      for (let at = 0; at < bytes.length && !isDone; ) {
        if (expects !== 'data') {
          at += takeLine(bytes, at)
          continue
        }
        const taken = bytes.subarray(at, at + left)
        emit(taken)
        at += taken.length
        left -= taken.length
        if (left === 0) expects = 'data end'
      }
      return isDone
    },
  }
}
