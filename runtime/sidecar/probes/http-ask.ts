import { setFlagsFromString } from 'node:v8'
import type { Agent } from 'undici'

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
}

/** Rejects where no complete answer of at most a megabyte arrives in time. `undici` in the sidecar. */
export type HttpAsk = (url: URL, timeoutMs: number, question?: HttpQuestion) => Promise<HttpAnswer>

/** More than any answer that is asked for; ComfyUI's health with eight GPUs has 4 KB. */
const MAX_BODY_BYTES = 1024 ** 2

/** Asks on a fresh connection each time: one kept open would say nothing about who can still connect. */
export function createHttpAsk(): { readonly ask: HttpAsk; readonly close: () => Promise<void> } {
  let agent: Promise<Agent> | null = null
  const ask: HttpAsk = async (url, timeoutMs, { json, headBytes } = {}) => {
    agent ??= createAgent()
    const posts = json !== undefined
    const answer = await (await agent).request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: posts ? 'POST' : 'GET',
      body: posts ? JSON.stringify(json) : null,
      reset: true,
      headers: {
        'user-agent': 'machinegen-sidecar',
        accept: '*/*',
        ...(posts ? { 'content-type': 'application/json' } : {}),
      },
      signal: AbortSignal.timeout(timeoutMs),
    })
    return { status: answer.statusCode, ...(await readBounded(answer.body, headBytes)) }
  }
  return { ask, close: async () => (await agent)?.destroy() }
}

/** Reads to the end, or to `headBytes`; leaving the loop cuts the connection. */
async function readBounded(body: AsyncIterable<Uint8Array>, headBytes = Number.POSITIVE_INFINITY) {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > headBytes) break
    if (bytes > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`)
  }
  return { body: Buffer.concat(chunks).toString(), isCut: bytes > headBytes }
}

/** Loaded at the first probe: it takes longer than all else at a start, and a machine without HTTP probes never needs it. */
async function createAgent(): Promise<Agent> {
  // undici parses HTTP in WebAssembly. Optimising that costs 36 MB at its peak and 10 MB for good, for a few probes a second.
  setFlagsFromString('--liftoff-only')
  const { Agent } = await import('undici')
  return new Agent({ connections: 1 })
}
