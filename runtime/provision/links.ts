import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync, symlinkSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import type { MachinePaths, PlannedLink } from '../../schema/plan.ts'
import { createDirectories } from './directories.ts'

/**
 * Makes symbolic links where nothing is, or an empty directory. Whatever else is in the place of one stays: it is
 * somebody's. Gives a line for each of those, and for each that cannot be made; none of them keeps a machine from starting.
 */
export function createLinks(links: readonly PlannedLink[]): string[] {
  return links.flatMap((link) => {
    try {
      return createLink(link)
    } catch (error) {
      return [`cannot link "${link.path}" to "${link.target}": ${(error as Error).message}`]
    }
  })
}

function createLink({ path, target, user, ifTargetExists }: PlannedLink): string[] {
  // What an operator installed in its place is what runs: nothing to say about that.
  if (ifTargetExists && (!existsSync(target) || isFilled(path))) return []
  const missing = missingParents(path).map((directory) => ({ path: directory, mode: 0o755, user }))
  const failures = createDirectories(missing)
  if (failures.length > 0) return failures
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there?.isSymbolicLink()) {
    const pointsTo = resolve(dirname(path), readlinkSync(path))
    return pointsTo === target ? [] : [`"${path}" points to "${pointsTo}", not to "${target}": it is left as it is`]
  }
  if (there?.isDirectory() && readdirSync(path).length === 0) rmdirSync(path)
  else if (there !== undefined) {
    const what = there.isDirectory() ? 'a directory with files in it' : 'a file'
    return [`"${path}" is ${what}: it stays, and "${target}" is not linked there`]
  }
  // Relative, so that it holds wherever the volume is mounted.
  symlinkSync(relative(dirname(path), target), path)
  return []
}

function isFilled(path: string): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false })
  return there !== undefined && !there.isSymbolicLink() && !(there.isDirectory() && readdirSync(path).length === 0)
}

/** Parents first. Those that are there keep their owner. */
function missingParents(path: string): string[] {
  const missing: string[] = []
  for (let directory = dirname(path); lstatSync(directory, { throwIfNoEntry: false }) === undefined; ) {
    missing.unshift(directory)
    directory = dirname(directory)
  }
  return missing
}

/** What a list of links between model folders may be called, and where its paths begin. */
const STATIC_MODELS = 'static-models.json'

/**
 * The links of `static-models.json` in the shared directory, as the original machines had it: from `models/<target>` to
 * `sd_models/<source>`. A list that cannot be read, and entries that lead elsewhere, are lines of `problems`.
 */
export function readStaticModelLinks({ shared }: Pick<MachinePaths, 'shared'>): {
  readonly links: readonly PlannedLink[]
  readonly problems: readonly string[]
} {
  const file = `${shared}/${STATIC_MODELS}`
  const text = readIfThere(file)
  if (text === null) return { links: [], problems: [] }
  const entries = entriesOf(text)
  if (entries === null) return { links: [], problems: [`cannot read "${file}": it has no list "symlinks"`] }
  const links: PlannedLink[] = []
  const problems: string[] = []
  entries.forEach((entry, index) => {
    const { source, target } = (entry ?? {}) as { source?: unknown; target?: unknown }
    const isUsable = isInside(source) && isInside(target)
    const from = isUsable ? resolve(shared, 'sd_models', source) : ''
    if (!isUsable) problems.push(`cannot use symlinks[${index}] of "${file}": source and target must be paths inside`)
    else if (!existsSync(from)) problems.push(`cannot link symlinks[${index}] of "${file}": there is no "${from}"`)
    else links.push({ path: resolve(shared, 'models', target), target: from, user: null })
  })
  return { links, problems }
}

function entriesOf(text: string): readonly unknown[] | null {
  try {
    const { symlinks } = JSON.parse(text) as { symlinks?: unknown }
    return Array.isArray(symlinks) ? symlinks : null
  } catch {
    return null
  }
}

function isInside(path: unknown): path is string {
  return typeof path === 'string' && path !== '' && !path.startsWith('/') && !path.split('/').includes('..')
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
