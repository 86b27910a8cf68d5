import { setTimeout as delay } from 'node:timers/promises'
import { ask, jsonOf, type Place } from './ask.ts'

/** A picture of nothing, shown and not kept: it needs no model, and goes through all of ComfyUI (ComfyUI, nodes.py). */
const PROMPT = {
  '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color: 0 } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
}

const POLL_MS = 200
const PROMPT_MS = 60_000

/** Has ComfyUI make a picture, unless it is busy with real ones. */
export async function promptComfyui(place: Place): Promise<string | { readonly skip: string }> {
  const queue = jsonOf(await ask(place, '/queue'))
  const waiting = lengthOf(queue.queue_running) + lengthOf(queue.queue_pending)
  if (waiting > 0) return { skip: `it is busy with ${waiting} jobs` }
  const accepted = await ask(place, '/prompt', { method: 'POST', json: { prompt: PROMPT, client_id: 'verify' } })
  if (accepted.status !== 200)
    throw new Error(`it refuses a prompt with ${accepted.status}: ${accepted.text.slice(0, 200)}`)
  const id = String(jsonOf(accepted).prompt_id)
  const deadlineMs = performance.now() + PROMPT_MS
  while (performance.now() < deadlineMs) {
    const history = jsonOf(await ask(place, `/history/${encodeURIComponent(id)}`)) as Record<
      string,
      History | undefined
    >
    const status = history[id]?.status
    if (status?.status_str === 'success') return 'a picture came out'
    if (status?.status_str === 'error') throw new Error(`a prompt without a model fails: ${errorOf(status)}`)
    await delay(POLL_MS)
  }
  throw new Error(`a prompt without a model is not done within ${PROMPT_MS / 1000} s`)
}

interface History {
  readonly status?: { readonly status_str?: string; readonly messages?: readonly (readonly [string, unknown])[] }
}

function errorOf({ messages = [] }: NonNullable<History['status']>): string {
  const [, error] = messages.find(([type]) => type === 'execution_error') ?? []
  return String((error as { exception_message?: unknown } | undefined)?.exception_message ?? 'it does not say why')
}

const lengthOf = (value: unknown): number => (Array.isArray(value) ? value.length : 0)
