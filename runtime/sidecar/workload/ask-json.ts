import type { PlannedService } from '../../../schema/plan.ts'
import type { HttpAsk, HttpQuestion } from '../probes/http-ask.ts'
import { serviceUrl } from '../probes/probe.ts'

/** One look at a service: several questions that share one timeout, and where they can a connection. */
export interface Questions {
  /** The body of a 2xx answer; `null` where there is none in time. */
  readonly text: (path: string, question?: HttpQuestion) => Promise<string | null>
  /** The same as JSON. */
  readonly json: (path: string) => Promise<unknown>
}

export function openQuestions(
  service: Pick<PlannedService, 'address' | 'port' | 'liveness'>,
  ask: HttpAsk,
  nowMs: () => number = () => performance.now(),
): Questions {
  const deadlineMs = nowMs() + service.liveness.timeoutMs
  const text: Questions['text'] = async (path, question) => {
    const leftMs = Math.ceil(deadlineMs - nowMs())
    if (leftMs <= 0) return null
    try {
      const { status, body } = await ask(serviceUrl(service, path), leftMs, {
        keep: true,
        ...question,
      })
      return status >= 200 && status <= 299 ? body : null
    } catch {
      return null
    }
  }
  const json = async (path: string) => {
    const body = await text(path)
    return body === null ? null : parseJson(body)
  }
  return { text, json }
}

/** `null` for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** A value inside JSON of unknown shape; `undefined` where the way to it ends. */
export function dig(value: unknown, ...keys: readonly (string | number)[]): unknown {
  return keys.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[key] : undefined),
    value,
  )
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** The texts under one key of a list of objects; `null` for anything that is no list. */
export function namesIn(list: unknown, key: string): readonly string[] | null {
  if (!Array.isArray(list)) return null
  return list.map((item) => dig(item, key)).filter((name): name is string => typeof name === 'string')
}
