import { TEXT_START } from '../diagnostics/diagnostic.ts'
import type { Profile, Service } from './compilation.ts'
import type { ServiceKind } from './service-files.ts'
import { directoryAt } from './source-tree.ts'

/** s6-overlay reads `user-bundles.d` from this version on. */
export const USER_BUNDLES_SINCE = '3.2.3.1'
/** From this version on it also gives `s6-rc.d/user` the `type` that the version before had stopped to ship. */
export const LEGACY_LAYOUT_REPAIRED_IN = '3.2.3.2'

/** The services s6-overlay brings along in every version of the 3.1 and 3.2 series: `[kind, members or dependencies]`. */
const BUILTIN: Record<string, readonly [ServiceKind, readonly string[]]> = {
  base: ['bundle', ['fix-attrs', 'legacy-cont-init']],
  'fix-attrs': ['oneshot', []],
  'legacy-cont-init': ['oneshot', ['fix-attrs']],
  'legacy-services': ['oneshot', ['base', 'user']],
  top: ['bundle', ['base', 'legacy-services', 'user', 'user2']],
  user: ['bundle', []],
  user2: ['bundle', []],
}

/**
 * Whether s6-overlay takes its user bundles from `user-bundles.d`. With the version unknown, a tree that has the
 * directory is taken to be for one that reads it.
 */
export function readsUserBundles({ directory, version }: Profile): boolean {
  if (directoryAt(directory, 's6-rc.d/user') !== undefined) return false
  if (version === undefined) return directoryAt(directory, 'user-bundles.d') !== undefined
  return compareVersions(version, USER_BUNDLES_SINCE) >= 0
}

/** Whether the version leaves `s6-rc.d/user` without a `type`, unless the tree gives it one. */
export function withholdsType({ version }: Profile): boolean {
  if (version === undefined || compareVersions(version, USER_BUNDLES_SINCE) < 0) return false
  return compareVersions(version, LEGACY_LAYOUT_REPAIRED_IN) < 0
}

export function builtinServices(): Service[] {
  return Object.entries(BUILTIN).map(([name, [kind, names]]) => {
    const references = names.map((other) => ({ name: other, place: { file: '.', range: TEXT_START } }))
    const isBundle = kind === 'bundle'
    return {
      ...{ name, kind, directory: undefined },
      dependencies: isBundle ? [] : references,
      contents: isBundle ? references : [],
    }
  })
}

/** Dotted numbers, compared part by part: negative where `left` is older. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left.split('.').map(Number), right.split('.').map(Number)]
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
