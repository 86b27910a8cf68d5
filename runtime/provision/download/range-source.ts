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

/** The answer to a first question, whose bytes are still to be read: those from the first of the file to `end`. */
export interface BegunTransfer {
  readonly end: number
  readonly read: (take: TakeBytes, signal: AbortSignal) => Promise<void>
  /** Of one that was read too. */
  readonly close: () => void
}

/** Where a file can be fetched from, whole or in parts. Errors are `DownloadError`s. */
export interface RangeSource {
  readonly probe: () => Promise<SourceFacts>
  /** Asks for the first bytes at once, where a source can: no way there and back is lost before they come. */
  readonly begin?: (bytes: number) => Promise<{ readonly facts: SourceFacts; readonly begun: BegunTransfer | null }>
  /** Streams bytes until the end of the range, or until `take` has enough. */
  readonly read: (range: RangeRequest, take: TakeBytes) => Promise<void>
}
