/** Runs one job on the worker's ComfyUI: POST /prompt, then /history until it is there. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from './messages.ts'
import type { WorkerSettings } from './settings.ts'

interface HistoryEntry {
  readonly outputs: Record<string, unknown>
  readonly status?: {
    readonly status_str: string
    readonly messages: readonly (readonly [string, Record<string, unknown>])[]
  }
}

/** How often /history is asked. */
const HISTORY_POLL_MS = 200

/** The outputs of the job's workflow. Rejects with the reason when ComfyUI refuses it, fails at it, or is too slow. */
export async function runOnComfyUi(settings: WorkerSettings, job: Job, leaving: AbortSignal): Promise<unknown> {
  const prompt = job.payload.workflow ?? job.payload.prompt ?? job.payload
  const accepted = await ask(settings, '/prompt', leaving, { prompt, client_id: settings.workerId })
  const promptId = String(accepted.prompt_id)
  const deadlineMs = performance.now() + settings.comfyTimeoutMs
  while (performance.now() < deadlineMs) {
    const history = await ask(settings, `/history/${promptId}`, leaving)
    const entry = history[promptId] as HistoryEntry | undefined
    if (entry) return outcome(entry)
    await sleep(HISTORY_POLL_MS, undefined, { signal: leaving })
  }
  throw new Error(`cannot finish job "${job.id}": ComfyUI gave no result in ${settings.comfyTimeoutMs} ms`)
}

function outcome({ outputs, status }: HistoryEntry): unknown {
  if (status?.status_str !== 'error') return outputs
  const failure = status.messages.find(([type]) => type === 'execution_error' || type === 'execution_interrupted')
  throw new Error(String(failure?.[1].exception_message ?? failure?.[0] ?? 'execution failed'))
}

async function ask(
  settings: WorkerSettings,
  path: string,
  leaving: AbortSignal,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const { request } = await import('undici')
  const { statusCode, body: answer } = await request(`${settings.comfyUrl}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      'content-type': 'application/json',
      ...(settings.comfyAuthorization ? { authorization: settings.comfyAuthorization } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: leaving,
  })
  const text = await answer.text()
  if (statusCode !== 200) throw new Error(`ComfyUI answered ${statusCode} on ${path}: ${text.slice(0, 500)}`)
  return JSON.parse(text) as Record<string, unknown>
}
