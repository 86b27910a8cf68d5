import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { isWholeCommit } from '../../../schema/git-url.ts'
import { type Git, NETWORK_TIMEOUT_MS } from './git.ts'
import { GitFailure } from './git-failure.ts'
import {
  digestOfEdits,
  hasSubmoduleEdits,
  INSTALLED,
  isUpstream,
  keepBranch,
  keepOnBranch,
  moveFilesInTheWay,
} from './local-edits.ts'
import { type Obtained, obtainCommit, type Wanted } from './obtain-commit.ts'

export interface CheckoutRequest extends Wanted {
  readonly directory: string
  readonly recursive: boolean
  /** Digest of edits that the machine itself made (`custom_script`): they are nobody's work. */
  readonly ownEdits: string | null
  /** Where patches of local edits are kept. */
  readonly keepDirectory: string
  readonly now: Date
  readonly onBytes: (bytes: number) => void
}

export interface Checkout {
  /** `kept`: what is there is no clone, and was not touched. */
  readonly status: 'cloned' | 'updated' | 'same' | 'kept'
  /** `null` where it was kept. */
  readonly commit: string | null
  /** What somebody should know. */
  readonly notes: readonly string[]
}

/**
 * Has a repository checked out in a directory, at a commit or at the head of a branch, whatever was there: a clone of any
 * age, one with edits, an interrupted one, one of a history that its host has thrown away. What is not a clone is left
 * alone. No edit is ever lost. Throws a GitFailure.
 */
export async function checkOut(git: Git, request: CheckoutRequest): Promise<Checkout> {
  const { directory } = request
  mkdirSync(dirname(directory), { recursive: true })
  const there = lstatSync(directory, { throwIfNoEntry: false })
  if (there === undefined || (there.isDirectory() && readdirSync(directory).length === 0))
    return clone(git, request, [])
  if (there.isSymbolicLink()) return kept('it is a symbolic link: it is left as it is')
  if (!there.isDirectory()) return kept('a file is in its place: it is left as it is')
  if (!existsSync(`${directory}/.git`)) return kept('it is no clone of a repository: it is left as it is')
  if (isAtRest(request)) return { status: 'same', commit: request.commit, notes: [] }
  const head = await git.ask(directory, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'])
  if (head !== null) return update(git, request, head)
  return clone(git, request, [moveAside(request, 'its clone is damaged')])
}

/** At the one commit that it is to stay at, which a look at a file tells. */
function isAtRest({ directory, commit, recursive }: CheckoutRequest): boolean {
  if (commit === null || !isWholeCommit(commit) || recursive) return false
  try {
    const head = readFileSync(`${directory}/.git/HEAD`, 'utf8').trim()
    return head === commit && !existsSync(`${directory}/.git/${MARK}`)
  } catch {
    return false
  }
}

/** In the data of a clone while its files are replaced. */
const MARK = 'machinegen-update'

const kept = (note: string): Checkout => ({ status: 'kept', commit: null, notes: [note] })

/** Made beside its place under a name that ComfyUI does not load, and moved there when it is whole. */
async function clone(git: Git, request: CheckoutRequest, notes: readonly string[]): Promise<Checkout> {
  const { directory, url } = request
  const draft = `${dirname(directory)}/.${basename(directory)}.new.disabled`
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft)
  try {
    await git.read(draft, ['init', '--quiet'])
    await git.read(draft, ['remote', 'add', 'origin', url])
    const target = await obtainCommit(git, draft, request, request.onBytes)
    await place(git, draft, target, request)
    renameSync(draft, directory)
    return { status: 'cloned', commit: target.commit, notes }
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw error
  }
}

async function update(git: Git, request: CheckoutRequest, head: string): Promise<Checkout> {
  const { directory } = request
  const gitDirectory = await git.read(directory, ['rev-parse', '--absolute-git-dir'])
  const mark = `${gitDirectory}/${MARK}`
  const wasInterrupted = existsSync(mark)
  if (wasInterrupted) for (const name of LOCKS) rmSync(`${gitDirectory}/${name}`, { force: true })
  await pointTo(git, directory, request.url)
  const found = await lookForTarget(git, request)
  if ('problem' in found) return { status: 'same', commit: head, notes: [found.problem] }
  const { target } = found
  const notes: string[] = []
  if (head === target.commit && !wasInterrupted) {
    if (request.recursive) await placeSubmodules(git, directory, [])
    await git.read(directory, ['update-ref', INSTALLED, head])
    return { status: 'same', commit: head, notes }
  }
  if (!wasInterrupted) {
    const saved = await keepLocalWork(git, request, head, target)
    if (saved === 'elsewhere') return clone(git, request, [moveAside(request, 'it has edits in its submodules')])
    notes.push(...saved)
  }
  writeFileSync(mark, target.commit)
  await place(git, directory, target, request)
  rmSync(mark)
  return { status: head === target.commit ? 'same' : 'updated', commit: target.commit, notes }
}

/** Left by a git that was killed; only one that was ours is cleared away. */
const LOCKS = ['index.lock', 'HEAD.lock', 'shallow.lock', 'config.lock'] as const

async function pointTo(git: Git, directory: string, url: string): Promise<void> {
  const origin = await git.ask(directory, ['config', '--get', 'remote.origin.url'])
  if (origin === null) await git.read(directory, ['remote', 'add', 'origin', url])
  else if (origin !== url) await git.read(directory, ['remote', 'set-url', 'origin', url])
}

/** That its host is away, or has it no more, is no reason to do without a clone that is there. */
async function lookForTarget(
  git: Git,
  request: CheckoutRequest,
): Promise<{ readonly target: Obtained } | { readonly problem: string }> {
  try {
    return { target: await obtainCommit(git, request.directory, request, request.onBytes) }
  } catch (error) {
    if (!(error instanceof GitFailure) || request.commit !== null) throw error
    return { problem: `it stays as it is: ${error.message}` }
  }
}

/** `elsewhere`: only the whole directory can hold it. */
async function keepLocalWork(
  git: Git,
  request: CheckoutRequest,
  head: string,
  target: Obtained,
): Promise<readonly string[] | 'elsewhere'> {
  const { directory, keepDirectory } = request
  if (await hasSubmoduleEdits(git, directory)) return 'elsewhere'
  const stamp = stampOf(request.now)
  const edits = await digestOfEdits(git, directory)
  const notes: (string | null)[] = []
  const isEdited = edits !== null && edits !== request.ownEdits
  const patch = isEdited ? `${keepDirectory}/${basename(directory)}-${stamp}.patch` : null
  if (isEdited || !(await isUpstream(git, directory, head, target.commit))) {
    notes.push(await keepOnBranch(git, directory, stamp, patch))
  }
  if (target.branch !== null) notes.push(await keepBranch(git, directory, target.branch, target.commit, stamp))
  notes.push(await moveFilesInTheWay(git, directory, target.commit, stamp))
  return notes.filter((note) => note !== null)
}

/** Under a name that ComfyUI does not load. Gives the sentence that says so. */
function moveAside({ directory, now }: CheckoutRequest, why: string): string {
  const aside = `${directory}.local-${stampOf(now)}.disabled`
  renameSync(directory, aside)
  return `${why}: it was moved to "${basename(aside)}" as it was`
}

/** `20261121-221335`, UTC. */
function stampOf(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')
}

/** Checks out a commit that is there, on its branch where it has one, and makes sure of it. */
async function place(git: Git, directory: string, target: Obtained, request: CheckoutRequest): Promise<void> {
  const { commit, branch } = target
  const what = `check out "${request.url}"`
  const on = branch === null ? ['--detach', commit] : ['--no-track', '-B', branch, commit]
  await git.read(directory, ['checkout', '--quiet', '--force', ...on], { what, timeoutMs: NETWORK_TIMEOUT_MS })
  if (branch !== null) {
    await git.read(directory, ['update-ref', `refs/remotes/origin/${branch}`, commit])
    await git.read(directory, ['config', `branch.${branch}.remote`, 'origin'])
    await git.read(directory, ['config', `branch.${branch}.merge`, `refs/heads/${branch}`])
  }
  if (request.recursive) await placeSubmodules(git, directory, ['--force'])
  await git.read(directory, ['update-ref', INSTALLED, commit])
  const head = await git.read(directory, ['rev-parse', 'HEAD'])
  if (head !== commit)
    throw new GitFailure(`cannot check out "${request.url}": it is at ${head}, not at ${commit}`, false)
}

/** Those that are missing, and with `--force` those that are at another commit: edits in them were kept before. */
async function placeSubmodules(git: Git, directory: string, force: readonly string[]): Promise<void> {
  if (!existsSync(`${directory}/.gitmodules`)) return
  const status = await git.ask(directory, ['submodule', 'status', '--recursive'])
  // A sign before a line: not there, or at another commit.
  if (status !== null && !(force.length > 0 ? /^[-+U]/m : /^-/m).test(status)) return
  await git.read(directory, ['submodule', '--quiet', 'sync', '--recursive'])
  const update = ['submodule', '--quiet', 'update', '--init', '--recursive', ...force]
  const options = { what: 'fetch its submodules', timeoutMs: NETWORK_TIMEOUT_MS }
  // Hosts that give no single commits give all.
  if ((await git.ask(directory, [...update, '--depth', '1'], options)) === null)
    await git.read(directory, update, options)
}
