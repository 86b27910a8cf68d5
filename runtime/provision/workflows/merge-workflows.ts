import { rmSync } from 'node:fs'
import { posix } from 'node:path'
import type { WorkflowRepository } from './workflow-repository.ts'

export interface MergedTree {
  readonly tree: string
  /** Files that were changed on both sides: where what the machine had is now. */
  readonly conflicts: readonly { readonly path: string; readonly keptAs: string }[]
}

/** An entry of a tree: `100644 <blob>`, as git-update-index(1) takes it. */
interface Sides {
  readonly ours: string | null
  readonly theirs: string | null
}

/**
 * Merges two commits by whole files: a workflow with the lines of two authors in it is none. What both sides changed is as
 * the host has it, and what the machine had stands beside it under `keptAs`. A file that one side changed and the other
 * removed is kept.
 */
export async function mergeTrees(
  repo: WorkflowRepository,
  base: string | null,
  ours: string,
  theirs: string,
  suffix: string,
): Promise<MergedTree> {
  const index = `${repo.gitDirectory}/merge-index`
  rmSync(index, { force: true })
  const env = { GIT_INDEX_FILE: index }
  const empty = base ?? (await repo.read(['mktree'], { input: '' }))
  const readTree = ['-c', 'core.sparseCheckout=false', 'read-tree', '-i', '-m', '--aggressive', empty, ours, theirs]
  await repo.read(readTree, { env })
  const unmerged = readUnmerged(await repo.read(['ls-files', '--unmerged', '-z'], { env }))
  const conflicts: { path: string; keptAs: string }[] = []
  const lines: string[] = []
  for (const [path, sides] of unmerged) {
    const { ours: mine, theirs: upstream } = sides
    lines.push(`0 ${'0'.repeat(40)}\t${path}`, `${upstream ?? mine}\t${path}`)
    if (mine === null || upstream === null) continue
    const keptAs = conflictName(path, suffix)
    lines.push(`${mine}\t${keptAs}`)
    conflicts.push({ path, keptAs })
  }
  if (lines.length > 0) await repo.read(['update-index', '-z', '--index-info'], { env, input: `${lines.join('\0')}\0` })
  const tree = await repo.read(['write-tree'], { env })
  rmSync(index, { force: true })
  return { tree, conflicts }
}

/** `<mode> <blob> <stage>\t<path>`; stage 2 is ours, 3 is theirs. */
function readUnmerged(listing: string): Map<string, Sides> {
  const found = new Map<string, Sides>()
  for (const line of listing.split('\0')) {
    const match = /^(\d+ \w+) ([123])\t([\s\S]+)$/.exec(line)
    if (match === null) continue
    const [, entry = '', stage, path = ''] = match
    const before = found.get(path) ?? { ours: null, theirs: null }
    if (stage === '2') found.set(path, { ...before, ours: entry })
    else if (stage === '3') found.set(path, { ...before, theirs: entry })
    else found.set(path, before)
  }
  // Removed on both sides: nothing is left to keep.
  return new Map([...found].filter(([, { ours, theirs }]) => ours !== null || theirs !== null))
}

/** `a/flow.json` -> `a/flow.conflict-<machine>-<date>.json` */
export function conflictName(path: string, suffix: string): string {
  const { dir, name, ext } = posix.parse(path)
  return posix.join(dir, `${name}.conflict-${suffix}${ext}`)
}
