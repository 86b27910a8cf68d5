import type { Answer } from './answer.ts'
import { type QuerySpec, type QueryValues, readQuery } from './query.ts'

export type Method = 'GET' | 'POST'

/** What a handler is told of a request. */
export interface Question {
  /** The `{name}` of the path, decoded; empty where the path has none. */
  readonly name: string
  /** The raw query. */
  readonly query: string
  /** The fields of the body; empty where there was none. */
  readonly fields: Readonly<Record<string, string>>
  /** Address of the client. */
  readonly client: string
  /** A header of the request. */
  readonly header: (name: string) => string | undefined
  /** Whether the request shows the token; for what is told to some only. */
  readonly hasToken: () => boolean
  /** The answer may take longer than a silent connection is kept. */
  readonly waitsLong: () => void
  /** Says that the answer is over: sent, or its client has left. */
  readonly signal: () => AbortSignal
  /** Calls once the answer is over. */
  readonly afterwards: (action: () => void) => void
}

export interface Endpoint {
  /** `token`: only for those who show it. */
  readonly access: 'open' | 'token'
  /** It changes something: pages of other origins are refused. */
  readonly changes: boolean
  /** It answers whatever name the client used for this machine. */
  readonly anyHost: boolean
  /** Fields that a body may have; `null`: a body is not read. */
  readonly fields: readonly string[] | null
  readonly parameters: QuerySpec
  readonly run: (question: Question) => Answer | Promise<Answer>
}

export interface EndpointOptions<S extends QuerySpec> {
  readonly access?: Endpoint['access']
  readonly changes?: boolean
  readonly anyHost?: boolean
  readonly fields?: readonly string[]
  readonly query: S
  readonly run: (query: QueryValues<S>, question: Question) => Answer | Promise<Answer>
}

/** An endpoint whose handler gets its query checked and typed. */
export function endpoint<S extends QuerySpec>(options: EndpointOptions<S>): Endpoint {
  const { access = 'open', changes = false, anyHost = false, fields = null, query: spec, run } = options
  return {
    access,
    changes,
    anyHost,
    fields,
    parameters: spec,
    run: (question) => run(readQuery(question.query, spec), question),
  }
}

export interface Route {
  /** As in openapi.json: `/services/{name}/logs`. */
  readonly path: string
  readonly methods: Readonly<Partial<Record<Method, Endpoint>>>
}

/** The methods that work on a route, as `Allow` names them. */
export function allowedMethods({ methods }: Route): readonly string[] {
  return [
    ...(methods.GET === undefined ? [] : ['GET', 'HEAD']),
    ...(methods.POST === undefined ? [] : ['POST']),
    'OPTIONS',
  ]
}
