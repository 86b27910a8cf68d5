import { Worker } from 'node:worker_threads'
import type { HashAnswer, HashOrder } from './hash-thread.ts'

/** A file whose SHA-256 is taken while it grows. */
export interface FollowedFile {
  /** So many bytes from its start are written for good. */
  readonly advance: (bytes: number) => void
  /** The SHA-256 of so many bytes, in lower case. */
  readonly digest: (bytes: number) => Promise<string>
  readonly forget: () => void
}

export interface Hasher {
  readonly follow: (path: string) => FollowedFile
  readonly close: () => Promise<void>
}

/** A message for each of these is enough to keep up. */
const STEP_BYTES = 8 * 1024 * 1024

/** The bundle is its own worker (main.ts). Sources are read with tsx, which a thread must register for itself. */
function startThread(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL(import.meta.url), { resourceLimits })
  const program = JSON.stringify(new URL('./hash-thread.ts', import.meta.url).href)
  const source = `import('tsx/esm/api').then(({ register }) => { register(); return import(${program}) })`
  return new Worker(source, { eval: true })
}

/** Hashes in a thread of its own, which starts when there is something to hash. */
export function createHasher(): Hasher {
  const waiting = new Map<number, { resolve: (sha256: string) => void; reject: (error: Error) => void }>()
  let worker: Worker | null = null
  let lastId = 0

  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    worker = null
  }
  const start = (): Worker => {
    const started = startThread()
    started.unref()
    started.on('error', fail)
    started.on('message', (answer: HashAnswer) => {
      const asker = waiting.get(answer.id)
      waiting.delete(answer.id)
      if ('sha256' in answer) asker?.resolve(answer.sha256)
      else asker?.reject(new Error(answer.problem))
      if (waiting.size === 0) started.unref()
    })
    return started
  }
  const send = (order: HashOrder) => {
    worker ??= start()
    worker.postMessage(order)
  }
  return {
    follow: (path) => {
      lastId += 1
      const id = lastId
      let sent = 0
      return {
        advance: (bytes) => {
          if (bytes - sent < STEP_BYTES) return
          sent = bytes
          send({ id, path, upTo: bytes, isLast: false })
        },
        digest: (bytes) =>
          new Promise((resolve, reject) => {
            waiting.set(id, { resolve, reject })
            send({ id, path, upTo: bytes, isLast: true })
            worker?.ref()
          }),
        forget: () => {
          if (sent > 0) send({ id, path: null, upTo: 0, isLast: false })
        },
      }
    },
    close: async () => {
      await worker?.terminate()
      worker = null
    },
  }
}
