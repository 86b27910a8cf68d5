import type { ServerResponse } from 'node:http'
import { type StreamAnswer, writeHead } from './answer.ts'

export interface StreamTimes {
  /** Proxies cut what is silent for a minute. */
  readonly heartbeatMs: number
  /** A reader that takes nothing for so long is cut. */
  readonly stallMs: number
}

export const STREAM_TIMES: StreamTimes = { heartbeatMs: 15_000, stallMs: 30_000 }

interface StreamWays {
  readonly extraHeaders: readonly string[]
  /** Says that the answer is over, or that the client has left. */
  readonly signal: AbortSignal
  /** Ends the connection. */
  readonly cut: () => void
  readonly times: StreamTimes
}

/**
 * Sends pieces as they come until there are no more or the client has left. The next piece is made only when the last one
 * is on its way: no client makes this process hold more than one. Resolves when the connection is done with it.
 */
export async function sendStream(
  response: ServerResponse,
  isHead: boolean,
  answer: StreamAnswer,
  { extraHeaders, signal, cut, times }: StreamWays,
): Promise<void> {
  let heartbeat: NodeJS.Timeout | undefined
  try {
    if (signal.aborted) return
    // nginx buffers nothing of an answer that says so, whatever its configuration.
    writeHead(response, answer, ['content-type', answer.type, 'x-accel-buffering', 'no', ...extraHeaders])
    if (!isHead) {
      response.flushHeaders()
      response.socket?.setTimeout(0)
      heartbeat = setInterval(() => {
        if (answer.heartbeat !== '' && response.writableLength === 0) response.write(answer.heartbeat)
      }, times.heartbeatMs)
      for await (const piece of answer.pieces(signal)) {
        if (signal.aborted) return
        if (!response.write(piece)) await untilDrained(response, signal, cut, times.stallMs)
      }
    }
    response.end()
  } finally {
    clearInterval(heartbeat)
    answer.release()
  }
}

function untilDrained(response: ServerResponse, signal: AbortSignal, cut: () => void, stallMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(cut, stallMs)
    response.on('drain', done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
