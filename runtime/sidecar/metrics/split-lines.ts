const NEWLINE = 10

export interface SplitLines {
  /** The whole lines, without their ends. */
  readonly lines: readonly string[]
  /** Bytes up to the end of the last whole line. */
  readonly consumed: number
}

/** The whole lines in a piece of a file; what is behind the last one is left for the next piece. */
export function splitLines(bytes: Uint8Array): SplitLines {
  const consumed = bytes.lastIndexOf(NEWLINE) + 1
  if (consumed === 0) return { lines: [], consumed }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, consumed - 1).toString('utf8')
  return { lines: text.split('\n'), consumed }
}
