import type { IncomingMessage } from 'node:http'
import { nearest } from '../../../schema/nearest.ts'
import { quoted, Refusal } from './refusal.ts'

export const MAX_BODY_BYTES = 64 * 1024

/** Whether a request says that more is coming than is ever read here. */
export function announcesTooMuch({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES
}

export function bodyTooLarge(): Refusal {
  return new Refusal(413, 'BODY_TOO_LARGE', `cannot take this body: it has more than ${MAX_BODY_BYTES} bytes`)
}

/** Reads a body up to the limit. Rejects with a Refusal beyond it, or where the client leaves before its end. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAX_BODY_BYTES) {
        chunks.length = 0
        reject(bodyTooLarge())
      } else chunks.push(chunk)
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    const onEarlyEnd = () => reject(new Refusal(400, 'BAD_REQUEST', 'cannot read this body: it ended too early'))
    request.once('error', onEarlyEnd)
    request.once('close', onEarlyEnd)
  })
}

/**
 * The fields of a JSON body; an empty body has none.
 *
 * @throws Refusal where it is no JSON, no object, or has other fields than texts with these names.
 */
export function parseFields(bytes: Buffer, known: readonly string[], maxLength: number): Record<string, string> {
  if (bytes.length === 0) return {}
  const fields = parseObject(bytes)
  for (const [name, value] of Object.entries(fields)) {
    if (!known.includes(name)) {
      const meant = nearest(name, known)
      const hint = meant === undefined ? `: there is only ${known.join(', ')}` : `; did you mean "${meant}"?`
      throw new Refusal(400, 'BAD_REQUEST', `cannot use field ${quoted(name)}${hint}`)
    }
    if (typeof value !== 'string' || value.length > maxLength) {
      const message = `cannot use field "${name}": it must be a text of at most ${maxLength} characters`
      throw new Refusal(400, 'BAD_REQUEST', message)
    }
  }
  return fields as Record<string, string>
}

function parseObject(bytes: Buffer): object {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new Refusal(400, 'BAD_REQUEST', `cannot read this body as JSON: ${(error as Error).message}`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new Refusal(400, 'BAD_REQUEST', 'cannot use this body: it must be a JSON object')
}
