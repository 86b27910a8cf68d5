import {
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { relative } from 'node:path'
import type { PlannedWorkerPackage } from '../../../schema/plan.ts'
import { entryPath } from './archive-path.ts'

/** Where the first machines looked for it, in their order. */
const PLACES = ['', 'worker/', 'dist/']

/**
 * The program of a package, as a path in it: by its known name in the known places, else what its package.json calls
 * `main` or its only `bin`. `null` where there is none.
 */
export function findEntryPoint(
  directory: string,
  { entryName }: Pick<PlannedWorkerPackage, 'entryName'>,
): string | null {
  const candidates = [...PLACES.map((place) => `${place}${entryName}`), ...declaredPrograms(directory)]
  return candidates.find((path) => isFileInside(directory, path)) ?? null
}

function isFileInside(directory: string, path: string): boolean {
  try {
    const real = realpathSync.native(`${directory}/${entryPath(path)}`)
    return real.startsWith(`${realpathSync.native(directory)}/`) && statSync(real).isFile()
  } catch {
    return false
  }
}

interface Manifest {
  readonly version?: unknown
  readonly main?: unknown
  readonly bin?: unknown
}

function readManifest(directory: string): Manifest {
  try {
    const value: unknown = JSON.parse(readFileSync(`${directory}/package.json`, 'utf8'))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function declaredPrograms(directory: string): string[] {
  const { main, bin } = readManifest(directory)
  const programs = typeof bin === 'object' && bin !== null ? Object.values(bin) : [bin]
  return [main, ...(programs.length === 1 ? programs : [])].filter((path): path is string => typeof path === 'string')
}

/** The version that a package says it is, where it is fit for the name of a directory. */
export function packageVersion(directory: string): string | null {
  const { version } = readManifest(directory)
  return typeof version === 'string' && /^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}$/.test(version) ? version : null
}

/** Archives that have everything in one directory mean what is in it. */
export function dropOuterDirectory(directory: string): void {
  const [only, ...others] = readdirSync(directory)
  if (only === undefined || others.length > 0 || !lstatSync(`${directory}/${only}`).isDirectory()) return
  const outer = `${directory}/.outer`
  renameSync(`${directory}/${only}`, outer)
  for (const name of readdirSync(outer)) renameSync(`${outer}/${name}`, `${directory}/${name}`)
  rmdirSync(outer)
}

/** Gives the program the name under which the service runs it, in every version of the package. */
export function linkEntryPoint(directory: string, entry: string, linkName: string): void {
  symlinkSync(relative('.', entry), `${directory}/${linkName}`)
}
