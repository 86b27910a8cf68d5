import type { Compilation, Profile, Service } from '../compilation.ts'
import { doubt, type Finding, mistake, rejection, wholeOf } from '../finding.ts'
import {
  compareVersions,
  LEGACY_LAYOUT_REPAIRED_IN,
  readsUserBundles,
  USER_BUNDLES_SINCE,
  withholdsType,
} from '../overlay.ts'
import { type Reference, readNameList } from '../service-files.ts'
import { type DirectoryEntry, directoryAt, entryAt } from '../source-tree.ts'
import { waitsFor } from './graph.ts'

/** Where s6-overlay looks for its user bundles, and where it does not. */
export function* layoutRules({ profile }: Compilation): Iterable<Finding> {
  if (profile === undefined) return
  const legacy = directoryAt(profile.directory, 's6-rc.d/user')
  const bundles = directoryAt(profile.directory, 'user-bundles.d')
  if (legacy !== undefined && bundles !== undefined) yield bothLayouts(legacy, bundles)
  if (profile.version !== undefined) yield* versionRules(profile, profile.version, legacy, bundles)
  const secondOnly = directoryAt(profile.directory, 's6-rc.d/user2')
  if (secondOnly !== undefined && readsUserBundles(profile)) {
    const message = 'cannot define "user2" in "s6-rc.d": "user-bundles.d" has it too, because "s6-rc.d/user" is absent'
    const finding = { hint: 'move it to "user-bundles.d/user2"' }
    const isInTree = bundles !== undefined && directoryAt(bundles, 'user2') !== undefined
    if (!isInTree) yield rejection('S6_LAYOUT_BOTH', wholeOf(secondOnly), message, finding)
  }
}

function bothLayouts(legacy: DirectoryEntry, bundles: DirectoryEntry): Finding {
  const isSyslogd = entryAt(legacy, 'contents.d/syslogd-bundle') !== undefined
  const hint = isSyslogd
    ? 'the syslogd-overlay tarball brings "s6-rc.d/user": move its "contents.d/syslogd-bundle" to "user-bundles.d/user" and remove "s6-rc.d/user"'
    : 'keep "user-bundles.d" from s6-overlay 3.2.3.2 on, "s6-rc.d/user" before'
  const message = 'cannot start what "user-bundles.d" lists: "s6-rc.d/user" exists, and s6-overlay then passes over it'
  return mistake('S6_LAYOUT_BOTH', wholeOf(legacy), message, {
    hint,
    related: [{ ...wholeOf(bundles), message: 'passed over' }],
  })
}

function* versionRules(
  profile: Profile,
  version: string,
  legacy: DirectoryEntry | undefined,
  bundles: DirectoryEntry | undefined,
): Iterable<Finding> {
  if (compareVersions(version, USER_BUNDLES_SINCE) < 0) {
    if (bundles === undefined) return
    const message = `cannot start what "user-bundles.d" lists: s6-overlay ${version} does not know it`
    const hint = `put "user" into "s6-rc.d", or use s6-overlay ${LEGACY_LAYOUT_REPAIRED_IN}`
    yield mistake('S6_LAYOUT_VERSION', wholeOf(bundles), message, { hint })
  } else if (legacy !== undefined) {
    const breaks = withholdsType(profile) && !legacy.entries.has('type')
    const hint = 'move "user" and "user2" to "user-bundles.d"'
    if (breaks) {
      const message = `cannot compile "s6-rc.d/user": it has no "type", and s6-overlay ${version} gives it none`
      yield rejection('S6_LAYOUT_VERSION', wholeOf(legacy), message, { hint })
    } else if (bundles === undefined) {
      const message = `cannot keep user bundles in "s6-rc.d" for long: s6-overlay ${version} warns of it, the next major one drops it`
      yield doubt('S6_LAYOUT_VERSION', wholeOf(legacy), message, { hint })
    }
  }
}

/** Services that nothing starts at boot. */
export function* reachabilityRules({ services, byName, profile }: Compilation): Iterable<Finding> {
  if (profile === undefined) return
  const started = reach(bootReferences(profile, byName), byName, (service) => [
    ...waitsFor(service),
    ...service.contents,
  ])
  for (const { name, kind, directory } of services) {
    if (kind === undefined || kind === 'bundle' || started.has(name)) continue
    const message = `cannot start "${name}" at boot: neither "user" nor anything it starts names it`
    const hint = `add an empty file "${name}" to "contents.d" of bundle "user", unless it is started by hand`
    yield doubt('S6_NEVER_STARTED', wholeOf(directory), message, { hint })
  }
}

/** The members of the user bundles in both places: that one of them is passed over is a finding of its own. */
function bootReferences(profile: Profile, byName: Compilation['byName']): Reference[] {
  const places = ['user-bundles.d/user', 'user-bundles.d/user2']
  const passedOver = places.flatMap((place) => {
    const directory = directoryAt(profile.directory, place)
    return directory === undefined ? [] : (readNameList(directory, 'contents') ?? [])
  })
  return [...passedOver, ...['user', 'user2'].flatMap((name) => byName.get(name)?.contents ?? [])]
}

function reach(
  from: readonly Reference[],
  byName: Compilation['byName'],
  edges: (service: Service) => readonly Reference[],
): Set<string> {
  const seen = new Set<string>()
  const queue = from.map((reference) => reference.name)
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const service = byName.get(name)
    if (service !== undefined) queue.push(...edges(service).map((reference) => reference.name))
  }
  return seen
}

/** Services that may start before s6-overlay has prepared the container. */
export function* baseRules({ services, byName, profile }: Compilation): Iterable<Finding> {
  if (profile === undefined) return
  const next = (service: Service) => (service.kind === 'bundle' ? service.contents : waitsFor(service))
  const late = new Set(reach(byName.get('user2')?.contents ?? [], byName, (service) => service.contents))
  for (const service of services) {
    if (service.kind === undefined || service.kind === 'bundle') continue
    const waits = reach(waitsFor(service), byName, next)
    if (!waits.has('base') && !waits.has('legacy-cont-init')) {
      const message = `cannot start "${service.name}" in order: it does not depend on "base", and races s6-overlay's own setup`
      yield doubt('S6_NO_BASE', wholeOf(service.directory), message, {
        hint: 'add an empty file "dependencies.d/base"',
      })
    }
    if (late.has(service.name) && !waits.has('legacy-services')) {
      const message = `cannot start "${service.name}" after the legacy services: it is in "user2" and does not depend on them`
      const hint = 'add an empty file "dependencies.d/legacy-services", or move it to "user"'
      yield doubt('S6_NO_BASE', wholeOf(service.directory), message, { hint })
    }
  }
}
