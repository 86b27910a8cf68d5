/**
 * Hashes files beside the thread that fetches them: it follows each file as far as it is written, so that little is left
 * to do at its end. Loaded in a worker thread and nowhere else.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

/** `upTo` grows; `isLast` asks for the result. `path: null` gives a file up. */
export interface HashOrder {
  readonly id: number
  readonly path: string | null
  readonly upTo: number
  readonly isLast: boolean
}

export type HashAnswer =
  | { readonly id: number; readonly sha256: string }
  | { readonly id: number; readonly problem: string }

interface Followed {
  readonly descriptor: number
  readonly hash: Hash
  at: number
}

const followed = new Map<number, Followed>()
const buffer = Buffer.allocUnsafeSlow(1024 * 1024)

function follow({ id, path, upTo, isLast }: HashOrder): HashAnswer | null {
  if (path === null) {
    forget(id)
    return null
  }
  const file = followed.get(id) ?? { descriptor: openSync(path, 'r'), hash: createHash('sha256'), at: 0 }
  followed.set(id, file)
  while (file.at < upTo) {
    const length = readSync(file.descriptor, buffer, 0, Math.min(buffer.length, upTo - file.at), file.at)
    if (length === 0) throw new Error(`it ends after ${file.at} of ${upTo} bytes`)
    file.hash.update(length === buffer.length ? buffer : buffer.subarray(0, length))
    file.at += length
  }
  if (!isLast) return null
  const sha256 = file.hash.digest('hex')
  forget(id)
  return { id, sha256 }
}

function forget(id: number): void {
  const file = followed.get(id)
  if (file !== undefined) closeSync(file.descriptor)
  followed.delete(id)
}

parentPort?.on('message', (order: HashOrder) => {
  let answer: HashAnswer | null
  try {
    answer = follow(order)
  } catch (error) {
    forget(order.id)
    answer = { id: order.id, problem: (error as Error).message }
  }
  if (answer !== null) parentPort?.postMessage(answer)
})
