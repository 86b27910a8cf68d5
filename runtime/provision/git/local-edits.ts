import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Git } from './git.ts'

/** The mark of what the machine itself has checked out. */
export const INSTALLED = 'refs/machinegen/installed'

/** Tracked files only: nodes write beside them all the time. The machine writes `.env` itself. */
const TRACKED = ['status', '--porcelain=v1', '--untracked-files=no'] as const
const ALL_BUT_ENV = ['--', '.', ':(exclude).env'] as const

/** What tracked files differ in from the commit, as a digest; `null` where they are as they were. */
export async function digestOfEdits(git: Git, directory: string): Promise<string | null> {
  const status = await git.read(directory, [...TRACKED, '--ignore-submodules=untracked', ...ALL_BUT_ENV])
  if (status === '') return null
  const diff = await git.read(directory, [
    'diff',
    '--binary',
    '--no-ext-diff',
    '--submodule=diff',
    'HEAD',
    ...ALL_BUT_ENV,
  ])
  return createHash('sha256').update(status).update(diff).digest('hex')
}

/** Whether edits are in submodules, which a branch of the repository around them cannot hold. */
export async function hasSubmoduleEdits(git: Git, directory: string): Promise<boolean> {
  if (!existsSync(`${directory}/.gitmodules`)) return false
  const status = await git.read(directory, [...TRACKED, '--ignore-submodules=untracked'])
  const without = await git.read(directory, [...TRACKED, '--ignore-submodules=all'])
  return status !== without
}

/** Whether a commit came from the host, or was checked out by the machine: then it is nobody's work that could be lost. */
export async function isUpstream(git: Git, directory: string, commit: string, target: string): Promise<boolean> {
  const namespaces = ['refs/remotes', 'refs/tags', 'refs/machinegen']
  const refs = await git.ask(directory, ['for-each-ref', '--count=1', '--contains', commit, ...namespaces])
  if (refs !== null && refs !== '') return true
  return (await git.ask(directory, ['merge-base', '--is-ancestor', commit, target])) !== null
}

/**
 * Keeps edits of tracked files, and commits that no host has, on a branch `local-<stamp>`, and the edits as a patch beside
 * the state of the machine. Gives the sentence that says where.
 */
export async function keepOnBranch(git: Git, directory: string, stamp: string, patch: string | null): Promise<string> {
  const branch = `local-${stamp}`
  let commit = 'HEAD'
  if (patch !== null) {
    mkdirSync(dirname(patch), { recursive: true })
    await git.read(directory, ['diff', '--binary', '--no-ext-diff', `--output=${patch}`, 'HEAD'])
    commit = (await git.read(directory, ['stash', 'create', `Edits on this machine, ${stamp}`])) || 'HEAD'
  }
  await git.read(directory, ['branch', '--force', branch, commit])
  const also = patch === null ? '' : `, and as "${patch}"`
  return `${patch === null ? 'its local commits' : 'its local edits'} are kept on its branch "${branch}"${also}`
}

/** A local branch that is about to be moved, and that has commits of its own, leaves them under another name. */
export async function keepBranch(
  git: Git,
  directory: string,
  branch: string,
  target: string,
  stamp: string,
): Promise<string | null> {
  const tip = await git.ask(directory, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}^{commit}`])
  if (tip === null || (await isUpstream(git, directory, tip, target))) return null
  const kept = `local-${stamp}-${branch.replaceAll('/', '-')}`
  await git.read(directory, ['branch', '--force', kept, tip])
  return `the commits of its local branch "${branch}" are kept on "${kept}"`
}

/**
 * Moves files that git does not track, and that a checkout would put others in the place of, into `local-<stamp>/`. Gives
 * the sentence that says so, or `null`.
 */
export async function moveFilesInTheWay(
  git: Git,
  directory: string,
  target: string,
  stamp: string,
): Promise<string | null> {
  const listing = (await git.read(directory, ['ls-tree', '-r', '-z', '--full-tree', target])).split('\0')
  const coming = new Map(
    listing.flatMap((line) => {
      const match = /^\d+ \w+ (\w+)\t([\s\S]+)$/.exec(line)
      return match === null ? [] : [[match[2]!, match[1]!] as const]
    }),
  )
  const folders = new Set([...coming.keys()].flatMap(parentsOf))
  const untracked = (await git.read(directory, ['ls-files', '--others', '-z']))
    .split('\0')
    .filter((path) => path !== '')
  const moved: string[] = []
  for (const path of untracked) {
    if (path === '.env') continue
    const blob = coming.get(path)
    const isInTheWay = blob !== undefined || folders.has(path) || parentsOf(path).some((parent) => coming.has(parent))
    if (!isInTheWay) continue
    if (blob !== undefined && (await git.ask(directory, ['hash-object', '--', path])) === blob) continue
    const aside = `${directory}/local-${stamp}/${path}`
    mkdirSync(dirname(aside), { recursive: true })
    renameSync(`${directory}/${path}`, aside)
    moved.push(path)
  }
  if (moved.length === 0) return null
  const shown = moved.slice(0, 3).map((path) => `"${path}"`)
  const more = moved.length > shown.length ? ` and ${moved.length - shown.length} more` : ''
  return `${shown.join(', ')}${more} were in the way and are now in "local-${stamp}" of it`
}

function parentsOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'))
}
