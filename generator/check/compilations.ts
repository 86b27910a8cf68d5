import { type Compilation, compilationOf, type Profile } from './compilation.ts'
import { sourceKind } from './layout.ts'
import { readsUserBundles } from './overlay.ts'
import { type DirectoryEntry, directoryAt, type SourceTree, visibleDirectories } from './source-tree.ts'

/** The compilations of a tree: one a profile, or one of all its sources. A `scan` directory has none. */
export function compilationsOf(tree: SourceTree, version: string | undefined): Compilation[] {
  switch (tree.layout) {
    case 'rootfs':
      return rootfsProfiles(tree.root).map((directory) => profileCompilation({ directory, version }))
    case 'profile':
      return [profileCompilation({ directory: tree.root, version })]
    case 'source':
      return [compilationOf([tree.root])]
    case 'sources': {
      const children = visibleDirectories(tree.root).map(([, child]) => child)
      return [compilationOf(children.filter((child) => sourceKind(child) === 'source'))]
    }
    default:
      return []
  }
}

/** `/etc/s6-overlay`, and what `S6_RUNTIME_PROFILE` may put in its place. */
function rootfsProfiles(root: DirectoryEntry): DirectoryEntry[] {
  const alternatives = directoryAt(root, 'etc/cont-profile.d')
  const named = alternatives === undefined ? [] : visibleDirectories(alternatives).map(([, child]) => child)
  return [directoryAt(root, 'etc/s6-overlay'), ...named.map((child) => directoryAt(child, 's6-overlay'))].filter(
    (profile) => profile !== undefined,
  )
}

function profileCompilation(profile: Profile): Compilation {
  const bundles = readsUserBundles(profile) ? directoryAt(profile.directory, 'user-bundles.d') : undefined
  const sources = [directoryAt(profile.directory, 's6-rc.d'), bundles].filter((source) => source !== undefined)
  return compilationOf(sources, profile)
}
