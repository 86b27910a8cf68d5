import { isWholeCommit } from '../../../schema/git-url.ts'
import type { Git } from './git.ts'
import { GitFailure } from './git-failure.ts'

/** What the host of a repository says of a branch or tag. */
export interface RemoteRef {
  readonly commit: string
  /** `refs/heads/main`, `refs/tags/v1`, or `HEAD`. */
  readonly ref: string
  /** The branch, where it is one. */
  readonly branch: string | null
}

const ASK_TIMEOUT_MS = 90_000

/** Asks a host for the commit of a branch or tag; `null`: of the branch that it shows first. Throws a GitFailure. */
export async function askRemote(git: Git, directory: string, url: string, branch: string | null): Promise<RemoteRef> {
  const patterns =
    branch === null ? ['HEAD'] : [`refs/heads/${branch}`, `refs/tags/${branch}`, `refs/tags/${branch}^{}`]
  const output = await git.read(directory, ['ls-remote', '--symref', '--', url, ...patterns], {
    what: `read "${url}"`,
    timeoutMs: ASK_TIMEOUT_MS,
  })
  const lines = output.split('\n').map((line) => line.split('\t'))
  const commits = new Map(lines.flatMap(([commit = '', ref = '']) => (isWholeCommit(commit) ? [[ref, commit]] : [])))
  if (branch === null) {
    const commit = commits.get('HEAD')
    if (commit === undefined) throw new GitFailure(`cannot read "${url}": it has no branch yet`, true)
    const head = lines.find(([text = '', name]) => name === 'HEAD' && text.startsWith('ref: refs/heads/'))?.[0]
    return { commit, ref: 'HEAD', branch: head?.slice('ref: refs/heads/'.length) ?? null }
  }
  const [head, tag, tagged] = patterns.map((pattern) => commits.get(pattern))
  if (head !== undefined) return { commit: head, ref: `refs/heads/${branch}`, branch }
  // An annotated tag is an object of its own; the commit stands behind `^{}`.
  const commit = tagged ?? tag
  if (commit === undefined) throw new GitFailure(`cannot use "${url}": it has no branch or tag "${branch}"`, true)
  return { commit, ref: `refs/tags/${branch}`, branch: null }
}
