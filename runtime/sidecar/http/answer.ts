import type { ServerResponse } from 'node:http'
import type { Refusal } from './refusal.ts'

/** What goes back: JSON, bytes that were made before, or pieces of text as they come. */
export type Answer = JsonAnswer | BytesAnswer | StreamAnswer

interface AnswerHead {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface JsonAnswer extends AnswerHead {
  readonly body: object
}

export interface BytesAnswer extends AnswerHead {
  readonly type: string
  readonly bytes: Buffer
}

export interface StreamAnswer extends AnswerHead {
  readonly type: string
  /** Sent while nothing else is, so that proxies keep the connection; empty where the format has nothing for it. */
  readonly heartbeat: string
  /** Called once, when the stream has ended or never began. */
  readonly release: () => void
  /** Makes the pieces; the signal says that nobody wants more of them. */
  readonly pieces: (signal: AbortSignal) => AsyncIterable<string>
}

export const JSON_TYPE = 'application/json; charset=utf-8'
export const TEXT_TYPE = 'text/plain; charset=utf-8'
export const EVENT_STREAM_TYPE = 'text/event-stream; charset=utf-8'

export function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): JsonAnswer {
  return { status, body, headers }
}

/** The answer of a {@link Refusal}. */
export function refused({ status, code, message, headers }: Refusal): JsonAnswer {
  return { status, body: { error: { code, message } }, headers }
}

/** Answers are about this moment, and a browser must take none of them for a page. */
const COMMON_HEADERS = ['cache-control', 'no-store', 'x-content-type-options', 'nosniff']

/** JSON on a line, as it is sent. */
export function jsonBytes(body: object): Buffer {
  return Buffer.from(`${JSON.stringify(body)}\n`)
}

/** Sends an answer that is complete. The body of one to HEAD is left out, its length is not. */
export function sendWhole(
  response: ServerResponse,
  isHead: boolean,
  answer: JsonAnswer | BytesAnswer,
  extraHeaders: readonly string[] = [],
): void {
  const bytes = 'bytes' in answer ? answer.bytes : jsonBytes(answer.body)
  const type = 'bytes' in answer ? answer.type : JSON_TYPE
  writeHead(response, answer, ['content-type', type, 'content-length', String(bytes.length), ...extraHeaders])
  response.end(isHead ? undefined : bytes)
}

/** Headers as one flat list: Node takes it as it is, without looking at each. */
export function writeHead(response: ServerResponse, { status, headers }: AnswerHead, own: readonly string[]): void {
  const list = [...own, ...COMMON_HEADERS]
  for (const name in headers) list.push(name, headers[name]!)
  response.writeHead(status, list)
}
