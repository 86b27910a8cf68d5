/** The queue of prompts and the history of finished ones (execution.py `PromptQueue`); in memory, lost with the process. */

export type Prompt = Record<string, { class_type: string; inputs: Record<string, unknown> }>

export interface QueueItem {
  readonly number: number
  readonly id: string
  readonly prompt: Prompt
  readonly extraData: Record<string, unknown>
  readonly outputs: readonly string[]
}

export interface Outcome {
  readonly success: boolean
  readonly outputs: Record<string, unknown>
  readonly meta: Record<string, unknown>
  readonly messages: readonly (readonly [string, unknown])[]
}

export interface PromptQueue {
  put(item: QueueItem): void
  running(): QueueItem | undefined
  /** What /queue shows. */
  snapshot(): { queue_running: unknown[]; queue_pending: unknown[] }
  /** Pending and running. */
  remaining(): number
  clear(): void
  remove(id: string): void
  history(maxItems?: number, offset?: number): Record<string, unknown>
  historyOf(id: string): Record<string, unknown>
  clearHistory(): void
  removeHistory(id: string): void
}

/** execution.py's MAXIMUM_HISTORY_SIZE. */
const HISTORY_SIZE = 10_000

const tuple = (item: QueueItem) => [item.number, item.id, item.prompt, item.extraData, item.outputs]

/**
 * Runs one item after the other with `execute`, smallest number first. `changed` is called at each change of the count,
 * `finished` after an item's outcome is in the history.
 */
export function openPromptQueue(events: {
  execute(item: QueueItem): Promise<Outcome>
  finished(item: QueueItem): void
  changed(): void
}): PromptQueue {
  let pending: QueueItem[] = []
  let current: QueueItem | undefined
  const done = new Map<string, unknown>()

  async function work(): Promise<void> {
    for (let item = pending.shift(); item !== undefined; item = pending.shift()) {
      current = item
      events.changed()
      const outcome = await events.execute(item)
      current = undefined
      if (done.size > HISTORY_SIZE) done.delete(done.keys().next().value as string)
      done.set(item.id, historyEntry(item, outcome))
      events.changed()
      events.finished(item)
    }
  }

  return {
    put(item) {
      pending.push(item)
      pending.sort((a, b) => a.number - b.number)
      events.changed()
      if (current === undefined) setImmediate(() => current === undefined && void work())
    },
    running: () => current,
    snapshot: () => ({ queue_running: current ? [tuple(current)] : [], queue_pending: pending.map(tuple) }),
    remaining: () => pending.length + (current ? 1 : 0),
    clear() {
      pending = []
      events.changed()
    },
    remove(id) {
      const left = pending.filter((item) => item.id !== id)
      if (left.length === pending.length) return
      pending = left
      events.changed()
    },
    history: (maxItems, offset = -1) => Object.fromEntries(slice([...done], maxItems, offset)),
    historyOf: (id) => (done.has(id) ? { [id]: done.get(id) } : {}),
    clearHistory: () => done.clear(),
    removeHistory: (id) => void done.delete(id),
  }
}

function slice<T>(entries: readonly T[], maxItems: number | undefined, offset: number): T[] {
  const start = offset < 0 ? (maxItems === undefined ? 0 : Math.max(0, entries.length - maxItems)) : offset
  return entries.slice(start, maxItems === undefined ? undefined : start + maxItems)
}

function historyEntry(item: QueueItem, outcome: Outcome): unknown {
  return {
    prompt: tuple(item),
    outputs: outcome.outputs,
    status: {
      status_str: outcome.success ? 'success' : 'error',
      completed: outcome.success,
      messages: outcome.messages,
    },
    meta: outcome.meta,
  }
}
