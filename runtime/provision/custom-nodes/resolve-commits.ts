import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan, PlannedNode } from '../../../schema/plan.ts'
import { inParallel } from '../framework/in-parallel.ts'
import { secretReader } from '../framework/secret-value.ts'
import { openGit } from '../git/git.ts'
import { obtainCommit } from '../git/obtain-commit.ts'
import { askRemote } from '../git/remote-ref.ts'

/** A node with the commit that it is pinned to, or why that cannot be found out. */
export type ResolvedNode =
  | { readonly url: string; readonly branch: string | null; readonly commit: string }
  | { readonly url: string; readonly problem: string }

type NodeSource = Pick<PlannedNode, 'url' | 'branch' | 'commit'>

const PARALLEL = 4

/**
 * Asks the hosts of nodes for the commits that their branches are at now. A node with the beginning of a SHA is fetched,
 * since no host looks one up.
 */
export async function resolveNodeCommits(
  nodes: readonly NodeSource[],
  { plan, environment }: { readonly plan: Plan; readonly environment: Environment },
): Promise<ResolvedNode[]> {
  const settings = plan.provisioning.git
  if (settings === null) return []
  const scratch = mkdtempSync(join(tmpdir(), 'machinegen-lock-'))
  const secret = secretReader(plan, environment)
  try {
    const git = openGit({ git: settings, paths: { run: scratch, state: scratch }, environment, secret })
    return await inParallel(PARALLEL, nodes, async ({ url, branch, commit }) => {
      try {
        if (commit === null) return { url, branch, commit: (await askRemote(git, scratch, url, branch)).commit }
        const clone = mkdtempSync(join(scratch, 'clone-'))
        await git.read(clone, ['init', '--quiet'])
        await git.read(clone, ['remote', 'add', 'origin', url])
        const found = await obtainCommit(git, clone, { url, branch, commit }, () => {})
        return { url, branch, commit: found.commit }
      } catch (error) {
        return { url, problem: (error as Error).message }
      }
    })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
