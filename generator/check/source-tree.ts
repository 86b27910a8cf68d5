/** A file whose bytes were read, up to the reader's limit. `path` is relative to the checked directory. */
export interface FileEntry {
  readonly kind: 'file'
  readonly path: string
  /** Permission bits. */
  readonly mode: number
  readonly bytes: Uint8Array
  /** True where the file goes on after `bytes`: its text proves nothing. */
  readonly truncated: boolean
  /** Reached through a symbolic link. */
  readonly linked: boolean
}

export interface DirectoryEntry {
  readonly kind: 'directory'
  readonly path: string
  readonly entries: ReadonlyMap<string, Entry>
  readonly linked: boolean
}

/** What has a name but no content: a dangling link, a device or socket or FIFO, something that may not be opened. */
export interface OddEntry {
  readonly kind: 'dangling' | 'special' | 'denied'
  readonly path: string
}

export type Entry = FileEntry | DirectoryEntry | OddEntry

/**
 * - `rootfs`: holds `etc/s6-overlay`, and may hold more profiles in `etc/cont-profile.d`;
 * - `profile`: holds `s6-rc.d`, as `/etc/s6-overlay` does;
 * - `source`: its directories are services;
 * - `sources`: its directories are sources, compiled together;
 * - `scan`: an s6-svscan directory, whose directories are supervised as they are, without s6-rc;
 * - `nothing`: none of these.
 */
export type TreeLayout = 'rootfs' | 'profile' | 'source' | 'sources' | 'scan' | 'nothing'

/** Everything that the rules look at, as data. */
export interface SourceTree {
  readonly layout: TreeLayout
  readonly root: DirectoryEntry
  /** A link of a rootfs points to an absolute path: programs outside the container follow it elsewhere. */
  readonly absoluteLinks: boolean
}

/** The entry at `path` below `directory`, `/`-separated. */
export function entryAt(directory: DirectoryEntry, path: string): Entry | undefined {
  let entry: Entry | undefined = directory
  for (const name of path.split('/')) {
    entry = entry?.kind === 'directory' ? entry.entries.get(name) : undefined
  }
  return entry
}

export function directoryAt(directory: DirectoryEntry, path: string): DirectoryEntry | undefined {
  const entry = entryAt(directory, path)
  return entry?.kind === 'directory' ? entry : undefined
}

export function fileAt(directory: DirectoryEntry, path: string): FileEntry | undefined {
  const entry = entryAt(directory, path)
  return entry?.kind === 'file' ? entry : undefined
}

/** True where opening the name would not say "no such file": a dangling link counts as absent. */
export function exists(directory: DirectoryEntry, path: string): boolean {
  const entry = entryAt(directory, path)
  return entry !== undefined && entry.kind !== 'dangling'
}

/** The directories below `directory` that s6-rc looks at: names with a leading dot are skipped. */
export function visibleDirectories(directory: DirectoryEntry): [string, DirectoryEntry][] {
  const found: [string, DirectoryEntry][] = []
  for (const [name, entry] of directory.entries) {
    if (entry.kind === 'directory' && !name.startsWith('.')) found.push([name, entry])
  }
  return found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

/** The file's text. A BOM stays visible as U+FEFF; bytes that are not UTF-8 become U+FFFD. */
export function textOf(file: FileEntry): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(file.bytes)
}
