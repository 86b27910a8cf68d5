/** Loaded models with their time to live, and the text that they make. */
import type { StoredModel } from './store.ts'

export interface Runner {
  load(model: StoredModel, keepAliveMs: number): void
  unload(model: StoredModel): void
  /** Models that are loaded now, the one that stays longest first. */
  loaded(): readonly LoadedModel[]
}

export interface LoadedModel {
  readonly model: StoredModel
  readonly expiresAtMs: number
}

/** Expiry is seen when somebody looks, so that nothing runs at rest. */
export function openRunner(): Runner {
  const models = new Map<string, LoadedModel>()
  return {
    load: (model, keepAliveMs) =>
      void models.set(model.name.shown, { model, expiresAtMs: Date.now() + Math.min(keepAliveMs, FOREVER_MS) }),
    unload: (model) => void models.delete(model.name.shown),
    loaded() {
      for (const [name, { expiresAtMs }] of models) if (expiresAtMs <= Date.now()) models.delete(name)
      return [...models.values()].sort((a, b) => b.expiresAtMs - a.expiresAtMs)
    },
  }
}

/** Ends in the year 2318, as Go's longest duration from now does. */
const FOREVER_MS = 9_223_372_036_854
const DEFAULT_KEEP_ALIVE_MS = 5 * 60_000
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, us: 0.001, ns: 0.000001 }

/** `5m`, `1h30m`, a number of seconds; negative for ever. Undefined is OLLAMA_KEEP_ALIVE's value, else five minutes. */
export function readKeepAlive(value: unknown, fallback: string | undefined): number {
  if (value === undefined || value === null) {
    return fallback === undefined || fallback === '' ? DEFAULT_KEEP_ALIVE_MS : readKeepAlive(fallback, undefined)
  }
  const text = String(value).trim()
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text) < 0 ? FOREVER_MS : Number(text) * 1000
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text.replace(/^-/, '')) {
    throw new Error(`time: invalid duration "${text}"`)
  }
  if (text.startsWith('-')) return FOREVER_MS
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit ?? ''] ?? 0), 0)
}

/** The words of an answer, a few and always the same for the same prompt. */
export function answerWords(prompt: string): string[] {
  const shown = prompt.trim().split(/\s+/).slice(0, 8).join(' ')
  return ['This', ' is', ' a', ' simulated', ' answer', ' to', `: ${shown}`]
}
