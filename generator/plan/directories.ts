import type { PlannedDirectory } from '../../schema/plan.ts'
import type { PlanContext, ServiceDraft } from '../services/service-type.ts'
import { COMFYUI_FOLDERS } from './comfyui-folders.ts'

/** What setup creates, parents first. Directories that only root may read hold secrets. */
export function planDirectories(context: PlanContext, drafts: readonly ServiceDraft[]): PlannedDirectory[] {
  const { paths } = context
  const open = [
    paths.workspace,
    paths.shared,
    paths.logs,
    paths.state,
    paths.run,
    paths.gates,
    `${paths.run}/waiting`,
    `${paths.run}/pgid`,
    ...drafts.map((draft) => draft.service.logs.directory),
    ...(drafts.some((draft) => draft.service.type === 'comfyui')
      ? [`${paths.shared}/workflows`, ...COMFYUI_FOLDERS.map((folder) => `${paths.shared}/${folder.path}`)]
      : []),
  ].map((path) => ({ path, mode: 0o755, user: null }))
  const own = drafts.flatMap((draft) =>
    draft.directories.map((path) => ({ path, mode: 0o755, user: draft.service.user })),
  )
  const secret = [`${paths.run}/secrets`, `${paths.run}/env`].map((path) => ({ path, mode: 0o700, user: null }))
  const byPath = new Map([...open, ...own, ...secret].map((directory) => [directory.path, directory]))
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}
