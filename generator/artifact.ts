/** One file of the rendered tree, as data: nothing touches the disk before the write stage. */
export interface Artifact {
  /** Relative to the output directory, `/`-separated, without `.` and `..` segments. */
  readonly path: string
  /** Permission bits, e.g. `0o644`. */
  readonly mode: number
  readonly content: string | Uint8Array
  /** Of the content, hexadecimal, where it is known without a look at it. */
  readonly sha256?: string
  /** The emitter that made it, for humans: `s6`, `nginx`, ... */
  readonly source: string
}
