/** ComfyUI's answers where no handler gives one: aiohttp's plain texts. */
import { answerText, type Exchange, type Manners, Refusal, readBody } from '../http-answers.ts'
import type { Log } from './log.ts'

/** aiohttp's words for a body above `client_max_size`. */
export function bodyTooLarge(maxBytes: number, actualBytes: number): Refusal {
  return new Refusal(413, `Maximum request body size ${maxBytes} exceeded, actual body size ${actualBytes}`)
}

export function aiohttpManners(log: Log): Manners {
  return {
    // A GET of an unknown path falls through to the static files of the web root; any other method meets only that GET.
    notFound({ request, response }) {
      if (request.method === 'GET' || request.method === 'HEAD') answerText(response, 404, '404: Not Found')
      else refuseMethod({ response }, ['GET'])
    },
    wrongMethod: refuseMethod,
    failed({ response }, error) {
      if (error instanceof Refusal) {
        // The rest of a refused body is not wanted, as aiohttp closes such connections.
        if (error.status === 413) response.setHeader('Connection', 'close')
        answerText(response, error.status, error.message)
        return
      }
      log.write(`Error handling request\nTraceback (most recent call last):\n${String(error)}`)
      answerText(response, 500, '500 Internal Server Error\n\nServer got itself in trouble')
    },
  }
}

function refuseMethod({ response }: Pick<Exchange, 'response'>, allowed: readonly string[]): void {
  const methods = allowed.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  response.setHeader('Allow', [...new Set(methods)].join(','))
  answerText(response, 405, '405: Method Not Allowed')
}

/** A JSON body. What is not JSON makes the handler fail, which aiohttp answers with 500. */
export async function readJson({ request }: Exchange, maxBytes: number): Promise<unknown> {
  const body = await readBody(request, maxBytes, (actual) => bodyTooLarge(maxBytes, actual))
  return JSON.parse(body.toString('utf8'))
}

/** A JSON body that has to be an object, with the same fate if it is none. */
export async function readJsonObject(exchange: Exchange, maxBytes: number): Promise<Record<string, unknown>> {
  const value = await readJson(exchange, maxBytes)
  if (typeof value !== 'object' || value === null) throw new Error('TypeError: the body is not an object')
  return value as Record<string, unknown>
}
