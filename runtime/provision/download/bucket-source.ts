import type { BufferPool } from './buffer-pool.ts'
import type { Environment } from './connection.ts'
import { httpSource } from './http-source.ts'
import type { RangeSource } from './range-source.ts'
import type { Rclone } from './rclone.ts'

export interface BucketSourceOptions {
  readonly rclone: Rclone
  readonly remote: string
  /** `bucket/path/to/file`. */
  readonly path: string
  readonly buffers: BufferPool
  readonly environment: Environment
}

/** A file in a bucket. Its version cannot be asked for with a range: whoever fetches it looks it up again at the end. */
export function bucketSource({ rclone, remote, path, buffers, environment }: BucketSourceOptions): RangeSource {
  const headersFor = () => ({ Authorization: rclone.authorization })
  let served: RangeSource | null = null
  return {
    probe: () => rclone.stat(remote, path),
    read: async (range, take) => {
      served ??= httpSource({ url: await rclone.urlOf(remote, path), headersFor, buffers, environment })
      await served.read({ ...range, validator: null }, take)
    },
  }
}
