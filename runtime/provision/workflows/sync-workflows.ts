import { NETWORK_TIMEOUT_MS } from '../git/git.ts'
import { GitFailure } from '../git/git-failure.ts'
import { mergeTrees } from './merge-workflows.ts'
import { commitOf, fetchUpstream, pathspec, UPSTREAM, type WorkflowRepository } from './workflow-repository.ts'

export interface SyncResult {
  readonly commit: string | null
  /** Files that were saved on the machine since the last time. */
  readonly saved: number
  readonly hasReceived: boolean
  readonly hasPushed: boolean
  readonly conflicts: readonly { readonly path: string; readonly keptAs: string }[]
  /** What somebody should know. */
  readonly notes: readonly string[]
  /** Why it could not be completed; what is on the machine is committed there all the same. */
  readonly problem: string | null
}

export const NOTHING_DONE: SyncResult = {
  commit: null,
  saved: 0,
  hasReceived: false,
  hasPushed: false,
  conflicts: [],
  notes: [],
  problem: null,
}

export interface SyncOptions {
  readonly machine: string
  readonly now: () => Date
}

/** Others push at the same time, and people save while files are put in place. */
const MAX_ROUNDS = 4

/**
 * Brings the work tree and the branch of the host together. First of all what is on the machine is committed, so that
 * nothing after that can lose it. Never throws: what fails is the `problem`.
 */
export async function syncWorkflows(repo: WorkflowRepository, options: SyncOptions): Promise<SyncResult> {
  let result = NOTHING_DONE
  try {
    // Files that are there before the first time are edits like any others: they are committed, and merged.
    await repo.read(['symbolic-ref', 'HEAD', `refs/heads/${repo.planned.branch}`])
    for (let round = 1; ; round += 1) {
      const saved = await commitEdits(repo, options)
      result = { ...result, saved: result.saved + saved, commit: await commitOf(repo, 'HEAD') }
      const upstream = await fetchUpstream(repo)
      const joined = await join(repo, upstream, options)
      result = {
        ...result,
        hasReceived: result.hasReceived || joined.hasReceived,
        conflicts: [...result.conflicts, ...joined.conflicts],
        notes: [...result.notes, ...joined.notes],
        commit: await commitOf(repo, 'HEAD'),
      }
      if (joined.isBusy && round < MAX_ROUNDS) continue
      if (joined.isBusy) throw new GitFailure('cannot put the workflows in place: they change all the time', false)
      if (!repo.planned.push || result.commit === null || result.commit === upstream) return result
      const refusal = await push(repo, result.commit)
      if (refusal === null) return { ...result, hasPushed: true }
      if (!refusal.isRace || round === MAX_ROUNDS) throw refusal.failure
    }
  } catch (error) {
    return { ...result, problem: (error as Error).message }
  }
}

/** Commits what differs from the last commit. Gives the number of files. */
async function commitEdits(repo: WorkflowRepository, { machine }: SyncOptions): Promise<number> {
  const { planned, read, ask } = repo
  const isFirst = (await commitOf(repo, 'HEAD')) === null
  if (isFirst && (await ask(['ls-files', '--others', '--exclude-standard', ...pathspec(planned)])) === '') return 0
  // A part that does not exist yet matches nothing, which git takes for a mistake.
  await ask(['add', '--all', ...pathspec(planned)])
  const against = isFirst ? await read(['mktree'], { input: '' }) : 'HEAD'
  const changed = await read(['diff', '--cached', '--name-only', '-z', '--no-renames', against, ...pathspec(planned)])
  const files = changed.split('\0').filter((path) => path !== '')
  if (files.length === 0) return 0
  const what = files.length === 1 ? files[0] : `${files.length} workflows`
  await read(['commit', '--quiet', '--no-verify', '--no-gpg-sign', '--message', `${machine}: ${what}`])
  return files.length
}

interface Joined {
  readonly hasReceived: boolean
  /** Somebody saved a file meanwhile. */
  readonly isBusy: boolean
  readonly conflicts: SyncResult['conflicts']
  readonly notes: readonly string[]
}

const NOTHING: Joined = { hasReceived: false, isBusy: false, conflicts: [], notes: [] }

async function join(repo: WorkflowRepository, upstream: string | null, options: SyncOptions): Promise<Joined> {
  const { read, ask } = repo
  const head = await commitOf(repo, 'HEAD')
  if (upstream === null || upstream === head) return NOTHING
  const seen = await commitOf(repo, UPSTREAM)
  const isIn = async (older: string, newer: string) =>
    (await ask(['merge-base', '--is-ancestor', older, newer])) !== null
  const remember = () => read(['update-ref', UPSTREAM, upstream])
  if (head === null) return moveTo(repo, null, upstream, NOTHING, remember)
  if (await isIn(upstream, head)) {
    await remember()
    return NOTHING
  }
  const wasRewritten = seen !== null && !(await isIn(seen, upstream))
  if (!wasRewritten && (await isIn(head, upstream))) return moveTo(repo, head, upstream, NOTHING, remember)
  const suffix = `${options.machine}-${stampOf(options.now())}`
  const notes: string[] = []
  if (wasRewritten) {
    const branch = `before-${stampOf(options.now())}`
    await read(['branch', '--force', branch, head])
    notes.push(
      `its host has rewritten the history: what was here is on the branch "${branch}" of "${repo.gitDirectory}"`,
    )
    // Nothing of the machine is in it: the new history is all there is.
    if (await isIn(head, seen)) return moveTo(repo, head, upstream, { ...NOTHING, notes }, remember)
  }
  const base = wasRewritten ? seen : await ask(['merge-base', head, upstream])
  const { tree, conflicts } = await mergeTrees(repo, base, head, upstream, suffix)
  // What the host has thrown away does not come back as the parent of a merge.
  const parents = wasRewritten ? ['-p', upstream] : ['-p', head, '-p', upstream]
  const merged = await read(['commit-tree', tree, ...parents, '-m', `${options.machine}: merge`])
  return moveTo(repo, head, merged, { ...NOTHING, conflicts, notes }, remember)
}

/** Puts the files of a commit in place, unless one of them was saved since the last commit. */
async function moveTo(
  repo: WorkflowRepository,
  from: string | null,
  to: string,
  joined: Joined,
  remember: () => Promise<unknown>,
): Promise<Joined> {
  const start = from ?? (await repo.read(['mktree'], { input: '' }))
  if ((await repo.ask(['read-tree', '-m', '-u', start, to])) === null) return { ...NOTHING, isBusy: true }
  await repo.read(['update-ref', `refs/heads/${repo.planned.branch}`, to])
  await remember()
  return { ...joined, hasReceived: true }
}

async function push(
  repo: WorkflowRepository,
  commit: string,
): Promise<{ readonly isRace: boolean; readonly failure: Error } | null> {
  const { branch, repository } = repo.planned
  try {
    await repo.read(['push', '--quiet', 'origin', `${commit}:refs/heads/${branch}`], {
      what: `push to "${repository}"`,
      timeoutMs: NETWORK_TIMEOUT_MS,
    })
    await repo.read(['update-ref', UPSTREAM, commit])
    return null
  } catch (error) {
    const failure = error as Error
    return {
      isRace: /rejected|non-fast-forward|fetch first|failed to push|cannot lock ref/i.test(failure.message),
      failure,
    }
  }
}

/** `20261121-221335`, UTC. */
function stampOf(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')
}
