/** One file of the rendered tree, as data: nothing touches the disk before the write stage. */
export interface Artifact {
  /** Relative to the output directory, `/`-separated, without `.` and `..` segments. */
  readonly path: string
  /** Permission bits, e.g. `0o644`. */
  readonly mode: number
  readonly content: string | Uint8Array
  /** A file that has this content: who only writes it can have it copied, and need not ask for the content. */
  readonly original?: Original
  /** The emitter that made it, for humans: `s6`, `nginx`, ... */
  readonly source: string
}

export interface Original {
  readonly path: string
  /** Of its content, hexadecimal. */
  readonly sha256: string
  readonly sizeBytes: number
}
