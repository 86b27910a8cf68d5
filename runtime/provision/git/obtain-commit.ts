import { isWholeCommit } from '../../../schema/git-url.ts'
import { type Git, NETWORK_TIMEOUT_MS } from './git.ts'
import { GitFailure } from './git-failure.ts'
import { askRemote, type RemoteRef } from './remote-ref.ts'

export interface Wanted {
  readonly url: string
  readonly branch: string | null
  readonly commit: string | null
}

export interface Obtained {
  readonly commit: string
  /** The branch that a checkout is to be on; `null`: on none. */
  readonly branch: string | null
}

/** Where the last fetch is kept, so that nothing of it is lost. */
const FETCHED = 'refs/machinegen/fetched'

/**
 * Has a commit in a repository: the wanted one, or that of the wanted branch. Takes no more than it needs where the host
 * can give less than all, and asks nobody for a commit that is there.
 */
export async function obtainCommit(
  git: Git,
  directory: string,
  wanted: Wanted,
  onBytes: (bytes: number) => void,
): Promise<Obtained> {
  if (wanted.commit !== null) {
    return { commit: await obtainExact(git, directory, wanted.url, wanted.commit, onBytes), branch: null }
  }
  const remote = await askRemote(git, directory, wanted.url, wanted.branch)
  if (await hasCommit(git, directory, remote.commit)) return remote
  return fetchRef(git, directory, wanted.url, remote, onBytes)
}

async function fetchRef(
  git: Git,
  directory: string,
  url: string,
  remote: RemoteRef,
  onBytes: (bytes: number) => void,
): Promise<Obtained> {
  const fetch = (depth: readonly string[]) =>
    git.read(
      directory,
      ['fetch', '--progress', '--force', '--no-tags', ...depth, 'origin', `+${remote.ref}:${FETCHED}`],
      {
        what: `fetch "${url}"`,
        timeoutMs: NETWORK_TIMEOUT_MS,
        onBytes,
      },
    )
  if (await isWhole(git, directory)) await fetch([])
  else await fetch(['--depth', '1']).catch((error) => wholeInstead(error, () => fetch([])))
  // It may have moved on since it was asked for.
  const commit = await git.read(directory, ['rev-parse', '--verify', `${FETCHED}^{commit}`])
  return { commit, branch: remote.branch }
}

async function obtainExact(
  git: Git,
  directory: string,
  url: string,
  commit: string,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const find = () => git.ask(directory, ['rev-parse', '--verify', '--quiet', `${commit}^{commit}`])
  const there = await find()
  if (there !== null) return there
  const options = { what: `fetch "${url}"`, timeoutMs: NETWORK_TIMEOUT_MS, onBytes }
  if (isWholeCommit(commit)) {
    const fetch = ['fetch', '--progress', '--force', '--no-tags', '--depth', '1', 'origin', `+${commit}:${FETCHED}`]
    if (!(await isWhole(git, directory)) && (await git.ask(directory, fetch, options)) !== null) return commit
  }
  // Hosts that give no single commits, and beginnings of a SHA, which no host looks up.
  const isShallow = (await git.ask(directory, ['rev-parse', '--is-shallow-repository'])) === 'true'
  const all = ['fetch', '--progress', '--force', '--tags', ...(isShallow ? ['--unshallow'] : []), 'origin']
  await git.read(directory, [...all, '+refs/heads/*:refs/remotes/origin/*'], options)
  const found = await find()
  if (found !== null) return found
  throw new GitFailure(`cannot use commit ${commit} of "${url}": its host does not have it`, true)
}

async function hasCommit(git: Git, directory: string, commit: string): Promise<boolean> {
  return (await git.ask(directory, ['rev-parse', '--verify', '--quiet', `${commit}^{commit}`])) !== null
}

/** A clone that somebody made with its history keeps it; a repository without a commit is one that begins. */
async function isWhole(git: Git, directory: string): Promise<boolean> {
  if ((await git.ask(directory, ['rev-parse', '--verify', '--quiet', 'HEAD'])) === null) return false
  return (await git.ask(directory, ['rev-parse', '--is-shallow-repository'])) === 'false'
}

/** Plain web servers with a repository on them cannot give a part of its history. */
async function wholeInstead(error: unknown, fetch: () => Promise<string>): Promise<string> {
  if (error instanceof GitFailure && error.isLasting) throw error
  return fetch()
}
