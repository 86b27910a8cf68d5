import type { TakeBytes } from './connection.ts'

/** What a source says of a file before it is fetched. */
export interface SourceFacts {
  readonly sizeBytes: number | null
  /** It can send a part of the file, from any byte. */
  readonly ranges: boolean
  /** Its word for this version, good for asking whether it is still the same; `null` where it has none. */
  readonly validator: string | null
  readonly fileName: string | null
  /** In lower case, where the source knows it. */
  readonly sha256: string | null
  /** The commit that a branch stands for just now, where it is one. */
  readonly revision: string | null
  /** How long it took to answer; `null` where that says nothing of the way there. */
  readonly latencyMs: number | null
}

export interface RangeRequest {
  readonly start: number
  /** The byte after the last one; `null`: to the end. */
  readonly end: number | null
  readonly validator: string | null
  readonly sizeBytes: number | null
  /** Ends the transfer at once. */
  readonly signal: AbortSignal
}

/** Where a file can be fetched from, whole or in parts. Errors are `DownloadError`s. */
export interface RangeSource {
  readonly probe: () => Promise<SourceFacts>
  /** Streams bytes until the end of the range, or until `take` has enough. */
  readonly read: (range: RangeRequest, take: TakeBytes) => Promise<void>
}
