import { nearest } from '../../schema/nearest.ts'
import type { PlannedService } from '../../schema/plan.ts'
import { childPointer, type Pointer } from '../load/origin.ts'
import type { Finding, ServiceDraft } from '../services/service-type.ts'

/**
 * Resolves `dependsOn` from keys to instances: of a service per GPU, the instance on the same GPU if there is one, else
 * all of them. Gives, by instance name, what it waits for; reports unknown, disabled and circular dependencies.
 */
export function resolveDependencies(
  drafts: readonly ServiceDraft[],
  knownKeys: ReadonlyMap<string, { readonly enabled: boolean }>,
  report: (finding: Finding) => void,
): Map<string, string[]> {
  const waitsFor = new Map<string, string[]>()
  const reported = new Set<string>()
  const instances = instancesByKey(drafts)
  for (const draft of drafts) {
    const targets = draft.dependsOn.flatMap(({ key, pointer }) => {
      if (pointer !== null && !isEnabled(draft, key, pointer)) return []
      return targetsOf(instances.get(key) ?? [], draft.service.gpu)
    })
    waitsFor.set(draft.service.name, [...new Set(targets)])
  }
  reportCycle(drafts, waitsFor, report)
  return waitsFor

  function isEnabled(draft: ServiceDraft, key: string, pointer: Pointer): boolean {
    if (knownKeys.get(key)?.enabled === true) return true
    if (!reported.has(pointer)) report(brokenDependency(draft.service.key, key, pointer, knownKeys))
    reported.add(pointer)
    return false
  }
}

function instancesByKey(drafts: readonly ServiceDraft[]): ReadonlyMap<string, readonly PlannedService[]> {
  const instances = new Map<string, PlannedService[]>()
  for (const { service } of drafts) {
    const others = instances.get(service.key)
    if (others === undefined) instances.set(service.key, [service])
    else others.push(service)
  }
  return instances
}

function targetsOf(instances: readonly PlannedService[], gpu: number | null): string[] {
  const sameGpu = instances.filter((service) => gpu !== null && service.gpu === gpu)
  return (sameGpu.length > 0 ? sameGpu : instances).map((service) => service.name)
}

function brokenDependency(
  from: string,
  key: string,
  pointer: Pointer,
  knownKeys: ReadonlyMap<string, { readonly enabled: boolean }>,
): Finding {
  if (knownKeys.has(key)) {
    return {
      code: 'DEPENDENCY_DISABLED',
      severity: 'error',
      pointer,
      message: `cannot start "${from}" after "${key}": "${key}" is disabled`,
      hint: `enable "${key}", or remove it from dependsOn`,
      related: [{ pointer: `/services/${key}/enabled`, message: `"${key}" is disabled here` }],
    }
  }
  const guess = nearest(key, [...knownKeys.keys()])
  return {
    code: 'UNKNOWN_DEPENDENCY',
    severity: 'error',
    pointer,
    message: `cannot start "${from}" after "${key}": there is no such service`,
    hint:
      key === 'sidecar'
        ? 'every service starts after the sidecar as it is'
        : guess === undefined
          ? `services of this machine: ${[...knownKeys.keys()].join(', ')}`
          : `did you mean "${guess}"?`,
  }
}

function reportCycle(
  drafts: readonly ServiceDraft[],
  waitsFor: ReadonlyMap<string, readonly string[]>,
  report: (finding: Finding) => void,
): void {
  const nodes = new Set(waitsFor.keys())
  for (;;) {
    const cycle = findCycle([...nodes], (name) => (waitsFor.get(name) ?? []).filter((next) => nodes.has(next)))
    if (cycle === null) return
    report(cycleFinding(drafts, cycle))
    // Further cycles through the same services would say the same again; those of other instances of theirs do.
    for (const { service } of drafts)
      if (cycle.some((name) => keyIn(drafts, name) === service.key)) nodes.delete(service.name)
  }
}

const keyIn = (drafts: readonly ServiceDraft[], name: string): string =>
  drafts.find((draft) => draft.service.name === name)?.service.key ?? name

function cycleFinding(drafts: readonly ServiceDraft[], cycle: readonly string[]): Finding {
  const keys = [...new Set(cycle.map((name) => keyIn(drafts, name)))]
  const first = keys[0] ?? ''
  return {
    code: 'DEPENDENCY_CYCLE',
    severity: 'error',
    pointer: ['services', first, 'dependsOn'].reduce<string>(childPointer, ''),
    message: `cannot order the services: ${[...keys, first].map((key) => `"${key}"`).join(' waits for ')}`,
    related: keys.slice(1).map((key) => ({
      pointer: ['services', key, 'dependsOn'].reduce<string>(childPointer, ''),
      message: `"${key}" waits here`,
    })),
  }
}

/** One cycle of a graph as the nodes on it, or `null`. */
export function findCycle(nodes: readonly string[], edges: (node: string) => readonly string[]): string[] | null {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (node: string): string[] | null => {
    if (done.has(node)) return null
    const seenAt = path.indexOf(node)
    if (seenAt >= 0) return path.slice(seenAt)
    path.push(node)
    for (const next of edges(node)) {
      const cycle = visit(next)
      if (cycle !== null) return cycle
    }
    path.pop()
    done.add(node)
    return null
  }
  for (const node of nodes) {
    const cycle = visit(node)
    if (cycle !== null) return cycle
  }
  return null
}

/** The services so that each comes after all that it waits for, otherwise in their given order; ends on cycles too. */
export function inStartOrder(services: readonly PlannedService[]): PlannedService[] {
  const byName = new Map(services.map((service) => [service.name, service]))
  const entered = new Set<PlannedService>()
  const ordered = new Set<PlannedService>()
  const visit = (service: PlannedService): void => {
    if (entered.has(service)) return
    entered.add(service)
    for (const name of [...service.waitsFor, ...service.stopsBefore]) {
      const dependency = byName.get(name)
      if (dependency !== undefined) visit(dependency)
    }
    ordered.add(service)
  }
  services.forEach(visit)
  return [...ordered]
}
