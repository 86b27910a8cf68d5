import { wholeOf } from './finding.ts'
import { builtinServices } from './overlay.ts'
import { type Reference, readNameList, readNameListFile, readType, type ServiceKind } from './service-files.ts'
import { type DirectoryEntry, exists, fileAt, visibleDirectories } from './source-tree.ts'

/** A service as the rules see it. */
export interface Service {
  readonly name: string
  /** Undefined where `type` is missing or wrong. */
  readonly kind: ServiceKind | undefined
  /** Undefined for services that no directory of the tree defines: s6-overlay's own, and bundles made of pipelines. */
  readonly directory: DirectoryEntry | undefined
  readonly dependencies: readonly Reference[]
  /** A bundle's members. */
  readonly contents: readonly Reference[]
  /** Undefined where the file is absent. */
  readonly producerFor?: readonly Reference[] | undefined
  readonly consumerFor?: readonly Reference[] | undefined
  readonly pipelineName?: readonly Reference[] | undefined
}

export type OwnService = Service & { readonly directory: DirectoryEntry }

/** The s6-overlay profile that sources belong to. */
export interface Profile {
  /** Holds `s6-rc.d`. */
  readonly directory: DirectoryEntry
  /** The version the tree is for, e.g. `3.2.3.2`; undefined where unknown. */
  readonly version: string | undefined
}

/** Sources that are compiled together, and what they define. */
export interface Compilation {
  readonly sources: readonly DirectoryEntry[]
  readonly profile: Profile | undefined
  /** Every service that a directory defines, duplicates included. */
  readonly services: readonly OwnService[]
  /** Every name that can be depended on: the first definition of each. */
  readonly byName: ReadonlyMap<string, Service>
}

/** Reads the services of sources that are compiled together; with a profile, s6-overlay's own are there too. */
export function compilationOf(sources: readonly DirectoryEntry[], profile?: Profile): Compilation {
  const services = sources.flatMap((source) =>
    visibleDirectories(source).map(([name, directory]) => readService(name, directory, profile)),
  )
  const byName = new Map<string, Service>()
  for (const service of services) if (!byName.has(service.name)) byName.set(service.name, service)
  if (profile !== undefined) {
    for (const service of builtinServices()) if (!byName.has(service.name)) byName.set(service.name, service)
  }
  const pipelines = services.flatMap((service) => pipelineBundle(service, byName))
  for (const bundle of pipelines) if (!byName.has(bundle.name)) byName.set(bundle.name, bundle)
  return { sources, profile, services, byName }
}

function readService(name: string, directory: DirectoryEntry, profile: Profile | undefined): OwnService {
  const type = fileAt(directory, 'type')
  const kind = type === undefined ? undefined : readType(type)
  if (kind === 'bundle' || (!exists(directory, 'type') && isUserBundle(name, profile))) {
    const contents = readNameList(directory, 'contents') ?? []
    return { name, kind: 'bundle', directory, dependencies: [], contents }
  }
  const dependencies = readNameList(directory, 'dependencies') ?? []
  if (kind !== 'longrun') return { name, kind, directory, dependencies, contents: [] }
  return {
    ...{ name, kind, directory, dependencies, contents: [] },
    producerFor: readNameListFile(directory, 'producer-for'),
    consumerFor: readNameListFile(directory, 'consumer-for'),
    pipelineName: readNameListFile(directory, 'pipeline-name'),
  }
}

/** s6-overlay gives its two user bundles their `type`, in the image or at boot. */
export function isUserBundle(name: string, profile: Profile | undefined): boolean {
  return profile !== undefined && (name === 'user' || name === 'user2')
}

/** A longrun that takes from others and gives to none: where a pipeline ends. */
export function isLastConsumer(service: Service): boolean {
  return service.producerFor === undefined && (service.consumerFor?.length ?? 0) > 0
}

function pipelineBundle(last: OwnService, byName: ReadonlyMap<string, Service>): Service[] {
  const name = last.pipelineName?.[0]
  if (name === undefined || !isLastConsumer(last)) return []
  const members = new Map<string, Reference>()
  const queue: Reference[] = [{ name: last.name, place: wholeOf(last.directory) }]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (members.has(next.name)) continue
    members.set(next.name, next)
    queue.push(...(byName.get(next.name)?.consumerFor ?? []))
  }
  return [{ name: name.name, kind: 'bundle', directory: undefined, dependencies: [], contents: [...members.values()] }]
}
