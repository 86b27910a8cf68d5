import { setFlagsFromString } from 'node:v8'
import type { Agent } from 'undici'
import type { HttpGet } from './probe.ts'

/** More than any health answer; ComfyUI's with eight GPUs has 4 KB. */
const MAX_BODY_BYTES = 256 * 1024

/** A GET on a fresh connection each time: one kept open would say nothing about who can still connect. */
export function createHttpGet(): { readonly get: HttpGet; readonly close: () => Promise<void> } {
  let agent: Promise<Agent> | null = null
  const get: HttpGet = async (url, timeoutMs) => {
    agent ??= createAgent()
    const answer = await (await agent).request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'GET',
      reset: true,
      headers: { 'user-agent': 'machinegen-sidecar', accept: '*/*' },
      signal: AbortSignal.timeout(timeoutMs),
    })
    return { status: answer.statusCode, body: await answer.body.text() }
  }
  return { get, close: async () => (await agent)?.destroy() }
}

/** Loaded at the first probe: it takes longer than all else at a start, and a machine without HTTP probes never needs it. */
async function createAgent(): Promise<Agent> {
  // undici parses HTTP in WebAssembly. Optimising that costs 36 MB at its peak and 10 MB for good, for a few probes a second.
  setFlagsFromString('--liftoff-only')
  const { Agent } = await import('undici')
  return new Agent({ connections: 1, maxResponseSize: MAX_BODY_BYTES })
}
