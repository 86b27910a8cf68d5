import type { ServerResponse } from 'node:http'
import { type StreamAnswer, writeHead } from './answer.ts'

export interface StreamTimes {
  /** Proxies cut what is silent for a minute. */
  readonly heartbeatMs: number
  /** A reader that takes nothing for so long is cut. */
  readonly stallMs: number
}

export const STREAM_TIMES: StreamTimes = { heartbeatMs: 15_000, stallMs: 30_000 }

/**
 * Sends pieces as they come until there are no more or the client has left. The next piece is made only when the last one
 * is on its way: no client makes this process hold more than one. Resolves when the connection is done with it.
 */
export async function sendStream(
  response: ServerResponse,
  isHead: boolean,
  answer: StreamAnswer,
  { extraHeaders, signal, times }: { extraHeaders: readonly string[]; signal: AbortSignal; times: StreamTimes },
): Promise<void> {
  let heartbeat: NodeJS.Timeout | undefined
  try {
    if (response.destroyed) return
    // nginx buffers nothing of an answer that says so, whatever its configuration.
    writeHead(response, answer, ['content-type', answer.type, 'x-accel-buffering', 'no', ...extraHeaders])
    if (!isHead) {
      response.flushHeaders()
      response.socket?.setTimeout(0)
      heartbeat = setInterval(() => {
        if (answer.heartbeat !== '' && response.writableLength === 0) response.write(answer.heartbeat)
      }, times.heartbeatMs)
      await sendPieces(response, answer.pieces(signal), signal, times.stallMs)
    }
    response.end()
  } finally {
    clearInterval(heartbeat)
    answer.release()
  }
}

async function sendPieces(
  response: ServerResponse,
  pieces: AsyncIterable<string>,
  signal: AbortSignal,
  stallMs: number,
): Promise<void> {
  for await (const piece of pieces) {
    if (signal.aborted) return
    if (!response.write(piece)) await untilDrained(response, stallMs)
  }
}

function untilDrained(response: ServerResponse, stallMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed) {
      resolve()
      return
    }
    const done = () => {
      clearTimeout(timer)
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    const timer = setTimeout(() => response.destroy(), stallMs)
    response.on('drain', done)
    response.on('close', done)
  })
}
