import { type Answer, JSON_TYPE } from '../answer.ts'
import { endpoint, type Question, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { notYet } from '../refusal.ts'

/** `/metrics`, and `/openapi.json` about the API itself. */
export function aboutRoutes({ metrics }: HttpParts): readonly Route[] {
  const measure = (_query: object, { header }: Question): Answer => {
    const page = metrics()
    if (page === null) throw notYet('the part that measures')
    return { status: 200, ...page(header('accept')) }
  }
  return [
    { path: '/metrics', methods: { GET: endpoint({ query: {}, run: measure }) } },
    { path: '/openapi.json', methods: { GET: endpoint({ anyHost: true, query: {}, run: openApi }) } },
  ]
}

/** Loaded when it is asked for: nobody needs it at a start. */
async function openApi(): Promise<Answer> {
  const { default: document } = await import('../../../../schema/openapi.json', { with: { type: 'json' } })
  return { status: 200, type: JSON_TYPE, bytes: Buffer.from(JSON.stringify(document)) }
}
