import {
  type DirectoryEntry,
  directoryAt,
  entryAt,
  exists,
  type TreeLayout,
  visibleDirectories,
} from './source-tree.ts'

/** Files that only a service of s6-rc has. */
const S6_RC_FILES = ['type', 'up', 'contents.d', 'contents', 'dependencies.d', 'dependencies']
const S6_RC_OPTIONS = ['timeout-up', 'timeout-down', 'producer-for', 'consumer-for', 'pipeline-name', 'flag-essential']

/** What kind of tree a directory is, by what it holds (all but `rootfs`, of which only a part is ever read). */
export function treeLayout(root: DirectoryEntry): TreeLayout {
  if (directoryAt(root, 's6-rc.d') !== undefined) return 'profile'
  const own = sourceKind(root)
  if (own !== undefined) return own
  return visibleDirectories(root).some(([, child]) => sourceKind(child) === 'source') ? 'sources' : 'nothing'
}

/**
 * Whether a directory's children are services, and whose: s6-rc's, or those of a plain s6-svscan, which shows itself
 * by loggers in `log/` and by having nothing that is s6-rc's.
 */
export function sourceKind(directory: DirectoryEntry): 'source' | 'scan' | undefined {
  const children = visibleDirectories(directory)
  const isOfS6Rc = ([, child]: [string, DirectoryEntry]) =>
    [...S6_RC_FILES, ...S6_RC_OPTIONS].some((name) => exists(child, name))
  if (children.some(isOfS6Rc)) return 'source'
  const running = children.filter(([, child]) => exists(child, 'run'))
  if (running.length === 0) return undefined
  const isScan = entryAt(directory, '.s6-svscan') !== undefined || running.some(([, child]) => exists(child, 'log/run'))
  return isScan ? 'scan' : 'source'
}
