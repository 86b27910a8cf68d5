import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import type { Artifact } from '../../generator/artifact.ts'
import { formatMode } from '../../generator/write/manifest.ts'

export function artifact(path: string, content: string | Uint8Array, mode = 0o644): Artifact {
  return { path, content, mode, source: 'test' }
}

/** Every path below a directory but the state directory, with what is there: `0644 text`, `directory`, `link`. */
export function treeOn(directory: string): Record<string, string> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const ours = paths.filter((path) => path !== '.machinegen' && !path.startsWith('.machinegen/')).sort()
  return Object.fromEntries(ours.map((path) => [path, describe(`${directory}/${path}`)]))
}

function describe(file: string): string {
  const stats = lstatSync(file)
  if (stats.isDirectory()) return 'directory'
  if (!stats.isFile()) return 'link'
  return `${formatMode(stats.mode & 0o7777)} ${readFileSync(file, 'latin1')}`
}

/** The same for artifacts: what `treeOn` gives where there is nothing else. */
export function treeOf(artifacts: readonly Artifact[]): Record<string, string> {
  const found = new Map<string, string>()
  for (const { path, mode, content } of artifacts) {
    const segments = path.split('/')
    for (let depth = 1; depth < segments.length; depth++) found.set(segments.slice(0, depth).join('/'), 'directory')
    found.set(path, `${formatMode(mode)} ${Buffer.from(content).toString('latin1')}`)
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The names in the state directory. */
export function stateNames(directory: string): string[] {
  return readdirSync(`${directory}/.machinegen`).sort()
}
