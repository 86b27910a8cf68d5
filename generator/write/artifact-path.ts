import { hash } from 'node:crypto'

/** Where the manifest, the journal and the lock live, directly below the output directory. */
export const STATE_DIRECTORY = '.machinegen'

/** Why `path` cannot be the path of an artifact; `undefined` where it can. */
export function pathProblem(path: string): string | undefined {
  // no path of a real tree comes further
  if (!/^\/|\0|(?:^|\/)\.{0,2}(?:\/|$)|(?:^|\/)\.machinegen/.test(path)) return undefined
  if (path === '') return 'it is empty'
  if (path.startsWith('/')) return 'it is absolute'
  if (path.includes('\0')) return 'it contains a NUL'
  const segments = path.split('/')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    return 'a segment is empty, "." or ".."'
  if (segments[0] === STATE_DIRECTORY) return `"${STATE_DIRECTORY}" is kept for the manifest`
  if (isTemporary(path)) return 'its name is one of those that runs give to temporary files'
  return undefined
}

/** The directories above a path, outermost first: `a/b/c` gives `a`, `a/b`. */
export function directoriesAbove(path: string): string[] {
  const directories: string[] = []
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) directories.push(path.slice(0, at))
  return directories
}

/** `''` for a path directly below the output directory. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/**
 * Where the new content of a file waits to be renamed: in the same directory, which may be a mount of its own; the same
 * for every run, so that the next one finds what a killed one left; short enough beside any name.
 */
export function temporaryFor(path: string): string {
  const directory = directoryOf(path)
  const name = `.machinegen-${hash('sha256', path).slice(0, 16)}.tmp`
  return directory === '' ? name : `${directory}/${name}`
}

export function isTemporary(path: string): boolean {
  return /(^|\/)\.machinegen-[0-9a-f]{16}\.tmp$/.test(path)
}

/** Order of code units: the same everywhere, whatever the locale. */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
