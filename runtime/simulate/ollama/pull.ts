/**
 * Pulls: one download a blob however many clients ask for it, cancelled when the last of them leaves, continued where it
 * stopped, also by another process (server/download.go).
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Knobs } from '../knobs.ts'
import type { ModelName } from './model-name.ts'
import { findInRegistry, type Layer, type RegistryModel } from './registry.ts'
import { allLayers, type Store } from './store.ts'

/** One line of the stream. */
export interface PullProgress {
  readonly status: string
  readonly digest?: string
  readonly total?: number
  readonly completed?: number
}

export interface Puller {
  /** Pulls a model, telling `report` of it. Rejects with an `Error` that has the message for the client. */
  pull(name: ModelName, report: (progress: PullProgress) => void, leaving: AbortSignal): Promise<void>
}

interface Download {
  completed: number
  waiters: number
  readonly cancel: AbortController
  readonly done: Promise<void>
}

/** A blob comes in this many pieces, one a step. */
const PIECES = 20
/** server/download.go reports this often. */
const REPORT_MS = 60

export function openPuller(store: Store, knobs: Knobs): Puller {
  const downloads = new Map<string, Download>()

  /** The download of a blob, one waiter more than before. */
  async function join(model: RegistryModel, layer: Layer): Promise<Download> {
    const known = downloads.get(layer.digest)
    if (known && !known.cancel.signal.aborted) {
      known.waiters += 1
      return known
    }
    // A download that has just been given up still has the file open.
    if (known) {
      await known.done.catch(() => {})
      return join(model, layer)
    }
    const cancel = new AbortController()
    const download: Download = {
      completed: readPartial(store, layer),
      waiters: 1,
      cancel,
      done: Promise.resolve().then(() => fetchBlob(store, knobs, model, layer, download)),
    }
    downloads.set(layer.digest, download)
    const forget = () => void downloads.delete(layer.digest)
    download.done.then(forget, forget)
    return download
  }

  async function waitFor(layer: Layer, download: Download, report: (line: PullProgress) => void, leaving: AbortSignal) {
    const tell = () => report(layerProgress(layer, download.completed))
    const timer = setInterval(tell, REPORT_MS)
    try {
      await Promise.race([download.done, aborted(leaving)])
      tell()
    } finally {
      clearInterval(timer)
      download.waiters -= 1
      if (download.waiters === 0) download.cancel.abort()
    }
  }

  return {
    async pull(name, report, leaving) {
      report({ status: 'pulling manifest' })
      const model = findInRegistry(name, knobs.modelBytes)
      if (model === undefined) throw new Error('pull model manifest: file does not exist')
      const fresh: Layer[] = []
      for (const layer of allLayers(model.manifest)) {
        if (store.hasBlob(layer.digest)) report(layerProgress(layer, layer.size))
        else {
          fresh.push(layer)
          await waitFor(layer, await join(model, layer), report, leaving)
        }
      }
      report({ status: 'verifying sha256 digest' })
      for (const { digest } of fresh) await verify(store, digest)
      report({ status: 'writing manifest' })
      store.write(name, model.manifest)
      report({ status: 'success' })
    },
  }
}

async function verify(store: Store, digest: string): Promise<void> {
  if (await store.verify(digest)) return
  rmSync(store.blobPath(digest), { force: true })
  throw new Error('digest mismatch, file must be downloaded again')
}

function layerProgress({ digest, size }: Layer, completed: number): PullProgress {
  const line = { status: `pulling ${digest.slice(7, 19)}`, digest, total: size }
  return completed > 0 ? { ...line, completed } : line
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(new Error('context canceled'))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

const partialFile = (store: Store, layer: Layer) => `${store.blobPath(layer.digest)}-partial`
/** What of the only part is there: the real one has up to sixteen of such files. */
const partFile = (store: Store, layer: Layer) => `${partialFile(store, layer)}-0`

function readPartial(store: Store, layer: Layer): number {
  if (!existsSync(partFile(store, layer)) || !existsSync(partialFile(store, layer))) return 0
  return (JSON.parse(readFileSync(partFile(store, layer), 'utf8')) as { Completed: number }).Completed
}

async function fetchBlob(store: Store, knobs: Knobs, model: RegistryModel, layer: Layer, download: Download) {
  const file = await open(partialFile(store, layer), existsSync(partialFile(store, layer)) ? 'r+' : 'w+')
  const piece = Math.max(1, Math.ceil(layer.size / PIECES))
  try {
    while (download.completed < layer.size) {
      // Small blobs come at once, as they do over a network.
      if (layer.size > 64 * 1024) await sleep(knobs.stepMs, undefined, { signal: download.cancel.signal })
      download.cancel.signal.throwIfAborted()
      const bytes = model.read(layer.digest, download.completed, piece)
      await file.write(bytes, 0, bytes.length, download.completed)
      download.completed += bytes.length
      const part = { N: 0, Offset: 0, Size: layer.size, Completed: download.completed }
      writeFileSync(partFile(store, layer), `${JSON.stringify(part)}\n`)
    }
  } finally {
    await file.close()
  }
  rmSync(partFile(store, layer), { force: true })
  await rename(partialFile(store, layer), store.blobPath(layer.digest))
}

/** A short stable number from a text. */
export function hashNumber(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0)
}
