import { request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface Question {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: object
  readonly timeoutMs?: number
}

/** Where a service of this machine answers. */
export interface Place {
  readonly address: string
  readonly port: number
}

const TIMEOUT_MS = 10_000
const MAX_BYTES = 4 * 1024 * 1024

/** Asks a service of this machine over HTTP, on a connection of its own. Throws where no whole answer comes in time. */
export function ask({ address, port }: Place, path: string, question: Question = {}): Promise<Answer> {
  const { method = 'GET', json, timeoutMs = TIMEOUT_MS } = question
  const body = json === undefined ? null : JSON.stringify(json)
  const type = body === null ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
  const signal = AbortSignal.timeout(timeoutMs)
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(signal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : readable(error))
    const options = {
      host: address,
      port,
      path,
      method,
      headers: { ...type, ...question.headers },
      agent: false,
      signal,
    }
    const outgoing = request(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > MAX_BYTES) outgoing.destroy(new Error('the answer is too long'))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', fail)
    })
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

function readable(error: NodeJS.ErrnoException): Error {
  return error.code === 'ECONNREFUSED' ? new Error('nothing answers there') : error
}

/** The answer as JSON; throws for one that is none, and for a bad status. */
export function jsonOf({ status, text }: Answer): Record<string, unknown> {
  if (status !== 200) throw new Error(`it answers ${status}`)
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('it answers with no JSON object')
  return value as Record<string, unknown>
}
