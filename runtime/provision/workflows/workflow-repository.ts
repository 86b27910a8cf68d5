import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { PlannedWorkflows } from '../../../schema/plan.ts'
import { type Git, type GitOptions, NETWORK_TIMEOUT_MS } from '../git/git.ts'

/** The repository of the workflows: its data is apart from the files, which may lie among others. */
export interface WorkflowRepository {
  readonly planned: PlannedWorkflows
  readonly gitDirectory: string
  readonly read: (args: readonly string[], options?: GitOptions) => Promise<string>
  readonly ask: (args: readonly string[], options?: GitOptions) => Promise<string | null>
}

/** What the host had when it was last asked. */
export const UPSTREAM = 'refs/machinegen/upstream'

/** Makes the repository where there is none yet, and has it agree with the plan. It touches no file of the work tree. */
export async function openWorkflowRepository(
  git: Git,
  planned: PlannedWorkflows,
  gitDirectory: string,
  author: { readonly name: string; readonly email: string },
): Promise<WorkflowRepository> {
  const { workTree, repository, part } = planned
  mkdirSync(workTree, { recursive: true })
  const env = {
    GIT_DIR: gitDirectory,
    GIT_WORK_TREE: workTree,
    GIT_AUTHOR_NAME: author.name,
    GIT_AUTHOR_EMAIL: author.email,
    GIT_COMMITTER_NAME: author.name,
    GIT_COMMITTER_EMAIL: author.email,
  }
  const withEnv = (options: GitOptions = {}): GitOptions => ({ ...options, env: { ...env, ...options.env } })
  const repo: WorkflowRepository = {
    planned,
    gitDirectory,
    read: (args, options) => git.read(workTree, args, withEnv(options)),
    ask: (args, options) => git.ask(workTree, args, withEnv(options)),
  }
  if (!existsSync(`${gitDirectory}/HEAD`)) {
    mkdirSync(gitDirectory, { recursive: true, mode: 0o700 })
    await repo.read(['init', '--quiet'])
  }
  // Of a process that was killed: only one at a time works here.
  rmSync(`${gitDirectory}/index.lock`, { force: true })
  await repo.read(['config', 'remote.origin.url', repository])
  mkdirSync(`${gitDirectory}/info`, { recursive: true })
  writeFileSync(`${gitDirectory}/info/exclude`, EXCLUDED)
  await repo.read(['config', 'core.sparseCheckout', String(part !== null)])
  if (part !== null) writeFileSync(`${gitDirectory}/info/sparse-checkout`, `/${part}/\n`)
  return repo
}

/** What programs leave beside workflows: drafts of editors, files that are half written. */
const EXCLUDED = `${['*~', '*.tmp', '*.swp', '*.part', '.DS_Store'].join('\n')}\n`

/** The part of the repository that is taken, as arguments. */
export function pathspec({ part }: PlannedWorkflows): string[] {
  return ['--', part ?? '.']
}

/** Asks the host for its branch; `null` where the repository has no branch yet. Throws a GitFailure. */
export async function fetchUpstream({ planned, read }: WorkflowRepository): Promise<string | null> {
  const { repository, branch } = planned
  const what = `read "${repository}"`
  const heads = await read(['ls-remote', '--', repository, `refs/heads/${branch}`], { what, timeoutMs: 90_000 })
  if (heads === '') return null
  const fetch = ['fetch', '--quiet', '--force', '--no-tags', 'origin', `+refs/heads/${branch}:refs/machinegen/fetched`]
  await read(fetch, { what: `fetch "${repository}"`, timeoutMs: NETWORK_TIMEOUT_MS })
  return read(['rev-parse', '--verify', 'refs/machinegen/fetched^{commit}'])
}

/** The commit of a name, or `null`. */
export function commitOf({ ask }: WorkflowRepository, name: string): Promise<string | null> {
  return ask(['rev-parse', '--verify', '--quiet', `${name}^{commit}`])
}
