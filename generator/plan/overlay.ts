import type { Finding } from '../services/service-type.ts'

/** The release that moved user bundles to `user-bundles.d` and still compiles (3.2.3.1 moved them and did not). */
const USER_BUNDLES_SINCE = '3.2.3.2'
/** The first with a v3 layout whose s6 has everything that the tree uses. */
const OLDEST = '3.1.6.2'
/** Its compatibility with the old layout does not compile: just-containers/s6-overlay release notes of 3.2.3.2. */
const BROKEN = '3.2.3.1'

export type BundleLayout = 'user-bundles.d' | 's6-rc.d/user'

/** Where an overlay version looks for the bundle of user services. Never both: it then ignores the new place. */
export function bundleLayout(version: string): BundleLayout {
  return compareVersions(version, USER_BUNDLES_SINCE) >= 0 ? 'user-bundles.d' : 's6-rc.d/user'
}

export function checkOverlay(version: string, report: (finding: Finding) => void): void {
  const why =
    version === BROKEN
      ? 'that release compiles neither layout of user bundles'
      : compareVersions(version, OLDEST) < 0
        ? `the oldest that works is ${OLDEST}`
        : null
  if (why === null) return
  report({
    code: 'OVERLAY_UNSUPPORTED',
    severity: 'error',
    pointer: '/machine/s6Overlay',
    message: `cannot make a tree for s6-overlay ${version}: ${why}`,
    hint: `use ${USER_BUNDLES_SINCE}`,
  })
}

/** Negative, zero or positive, as `a` is older, the same or newer. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let index = 0; index < 4; index += 1) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
