import type { Artifact } from '../artifact.ts'
import type { ApplyResult } from '../write/apply.ts'
import { formatMode, isSecretMode, sha256 } from '../write/manifest.ts'

const KINDS = { create: 'create', update: 'update', mode: 'mode', remove: 'remove', adopt: 'adopt' } as const

/** One line: `rootfs: 212 files, 3 changed, 1 removed`. */
export function renderSummary(out: string, { changes, unchangedCount, wasUnfinished }: ApplyResult): string {
  const removed = changes.filter(({ kind }) => kind === 'remove').length
  const changed = changes.length - removed
  const parts = [`${unchangedCount + changed} files`]
  if (changed > 0) parts.push(`${changed} changed`)
  if (removed > 0) parts.push(`${removed} removed`)
  if (changes.length === 0) parts.push('unchanged')
  if (wasUnfinished) parts.push('an interrupted run completed')
  return `${out}: ${parts.join(', ')}\n`
}

/** A line for each file that changes: `create  etc/machinegen/plan.json`. */
export function changeList({ changes }: ApplyResult): string {
  return changes
    .map(({ kind, path, replaces }) => `${KINDS[kind]}  ${path}${replaces === 'edited' ? '  (was edited)' : ''}\n`)
    .join('')
}

/** The files of the tree, and those that go, as one JSON document. A secret's hash would help to guess it: `null`. */
export function renderJson(out: string, artifacts: readonly Artifact[], { changes }: ApplyResult): string {
  const kinds = new Map(changes.map(({ path, kind }) => [path, kind]))
  const files = artifacts
    .map(({ path, mode, content, source }) => {
      const bytes = Buffer.from(content)
      return {
        path,
        mode: formatMode(mode),
        sha256: isSecretMode(mode) ? null : sha256(bytes),
        sizeBytes: bytes.length,
        source,
        change: kinds.get(path) ?? 'none',
      }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  const removed = changes.filter(({ kind }) => kind === 'remove').map(({ path }) => path)
  return `${JSON.stringify({ out, files, removed }, null, 2)}\n`
}
