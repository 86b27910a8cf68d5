import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Compilation } from './compilation.ts'
import { builtinServices, readsUserBundles, withholdsType } from './overlay.ts'
import { visibleDirectories } from './source-tree.ts'

/** What s6-rc-compile says of sources; `available: false` where it is not on PATH or gave no answer. */
export type CompileVerdict =
  | { readonly available: false }
  | {
      readonly available: true
      readonly accepted: boolean
      /** What it printed: its first error, and warnings. */
      readonly message: string
    }

/** A thousand services compile in under a second. */
const COMPILE_TIMEOUT_MS = 60_000

/**
 * Has the s6-rc-compile on PATH compile sources into a database that is thrown away.
 *
 * @param sources directories, in the order s6-rc-compile gets them
 */
export function compileVerdict(sources: readonly string[]): CompileVerdict {
  return inTemporaryDirectory((directory) => {
    const database = join(directory, 'db')
    const run = spawnSync('s6-rc-compile', ['-v', '1', '--', database, ...sources], {
      encoding: 'utf8',
      timeout: COMPILE_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (run.error !== undefined || run.status === null) return { available: false }
    return { available: true, accepted: run.status === 0, message: run.stderr.trim() }
  })
}

/**
 * The same for the sources of one compilation of the tree in `root`. What s6-overlay adds to a profile at boot (its own
 * services, the `type` of its user bundles) is put beside them.
 */
export function compilationVerdict(root: string, compilation: Compilation): CompileVerdict {
  const paths = compilation.sources.map((source) => resolve(root, source.path))
  if (compilation.profile === undefined) return compileVerdict(paths)
  return inTemporaryDirectory((directory) => {
    const own = compilation.sources.map((_, index) => stageSource(root, compilation, index, directory))
    const builtin = stageBuiltin(compilation, directory)
    const verdict = compileVerdict([...own, builtin])
    if (!verdict.available) return verdict
    const message = own.reduce((text, staged, index) => text.replaceAll(staged, paths[index]!), verdict.message)
    return { ...verdict, message }
  })
}

/** A directory of links to a source's services, its user bundles completed. */
function stageSource(root: string, compilation: Compilation, index: number, directory: string): string {
  const source = compilation.sources[index]!
  const staged = join(directory, `source-${index}`)
  mkdirSync(staged)
  const incomplete = new Set(
    visibleDirectories(source)
      .map(([name]) => name)
      .filter((name) => isIncomplete(compilation, index, name)),
  )
  for (const [name, entry] of source.entries) {
    if (incomplete.has(name)) writeBundle(join(staged, name), compilation.byName.get(name)?.contents ?? [])
    else if (!name.startsWith('.')) symlinkSync(resolve(root, entry.path), join(staged, name))
  }
  return staged
}

/** A user bundle that leans on the `type` or the `contents.d` that s6-overlay brings. */
function isIncomplete({ sources, profile }: Compilation, index: number, name: string): boolean {
  if ((name !== 'user' && name !== 'user2') || profile === undefined || withholdsType(profile)) return false
  const entry = sources[index]!.entries.get(name)
  if (entry?.kind !== 'directory') return false
  const { entries } = entry
  return !entries.has('type') || !(entries.has('contents.d') || entries.has('contents'))
}

/** Stand-ins for s6-overlay's own services: the same names, kinds and order, nothing to run. */
function stageBuiltin(compilation: Compilation, directory: string): string {
  const staged = join(directory, 's6-overlay')
  mkdirSync(staged)
  for (const service of builtinServices()) {
    if (isReplaced(compilation, service.name)) continue
    const path = join(staged, service.name)
    if (service.kind === 'bundle') writeBundle(path, service.contents)
    else {
      mkdirSync(join(path, 'dependencies.d'), { recursive: true })
      writeFileSync(join(path, 'type'), 'oneshot\n')
      writeFileSync(join(path, 'up'), '')
      for (const { name } of service.dependencies) writeFileSync(join(path, 'dependencies.d', name), '')
    }
  }
  return staged
}

/** The tree's own definition lies where s6-overlay's was, and takes its place; elsewhere it is a second one. */
function isReplaced({ services, sources, profile }: Compilation, name: string): boolean {
  if (name !== 'user' && name !== 'user2') return false
  if (profile !== undefined && readsUserBundles(profile))
    return sources.some(({ path, entries }) => path.endsWith('user-bundles.d') && entries.has(name))
  return services.some((service) => service.name === name)
}

function writeBundle(path: string, contents: readonly { name: string }[]): void {
  mkdirSync(join(path, 'contents.d'), { recursive: true })
  writeFileSync(join(path, 'type'), 'bundle\n')
  for (const { name } of contents) writeFileSync(join(path, 'contents.d', name), '')
}

function inTemporaryDirectory<Result>(work: (directory: string) => Result): Result {
  const directory = mkdtempSync(join(tmpdir(), 'machinegen-check-'))
  try {
    return work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
