import { type Compilation, isLastConsumer, type OwnService } from '../compilation.ts'
import { doubt, type Finding, rejection, wholeOf } from '../finding.ts'
import { builtinServices } from '../overlay.ts'
import type { Reference } from '../service-files.ts'

const RESERVED = /^s6-?rc-/
/** What every tool around s6 (shells, URLs, s6-overlay's own scripts) takes as it is. */
const PLAIN_NAME = /^[A-Za-z0-9_.@-]+$/

/** Names that s6-rc keeps for itself, cannot hold, or that others stumble over. */
export function* nameRules({ sources, services }: Compilation): Iterable<Finding> {
  for (const source of sources) {
    for (const [name, entry] of source.entries) {
      if (name.startsWith('.')) continue
      const place = wholeOf(entry)
      if (RESERVED.test(name)) yield reserved({ name, place })
      else if (name.includes('\n')) {
        yield rejection('S6_BAD_NAME', place, `cannot compile service ${JSON.stringify(name)}: its name has a newline`)
      } else if (entry.kind === 'directory' && !PLAIN_NAME.test(name)) {
        yield doubt('S6_BAD_NAME', place, `cannot use service name ${JSON.stringify(name)} everywhere`, {
          hint: 'keep to letters, digits, "-", "_" and "."',
        })
      }
    }
  }
  for (const service of services) {
    for (const reference of referencesOf(service)) if (RESERVED.test(reference.name)) yield reserved(reference)
  }
}

function reserved({ name, place }: Reference): Finding {
  const message = `cannot use service name "${name}": s6-rc keeps names that begin with "s6rc-" and "s6-rc-" for itself`
  return rejection('S6_BAD_NAME', place, message)
}

function referencesOf(service: OwnService): Reference[] {
  const pipeline = [
    service.producerFor,
    service.consumerFor,
    isLastConsumer(service) ? service.pipelineName : undefined,
  ]
  return [...service.dependencies, ...service.contents, ...pipeline.flatMap((list) => list ?? [])]
}

/** One name, one definition: across sources, and against what s6-overlay brings. */
export function* duplicateRules({ services, profile }: Compilation): Iterable<Finding> {
  const seen = new Map<string, OwnService>()
  const builtin = new Set(profile === undefined ? [] : builtinServices().map(({ name }) => name))
  for (const service of services) {
    const place = wholeOf(service.directory)
    const first = seen.get(service.name)
    if (first !== undefined) {
      const related = [{ ...wholeOf(first.directory), message: 'first defined here' }]
      const message = `cannot define "${service.name}" twice: "${first.directory.path}" has it`
      yield rejection('S6_DUPLICATE_NAME', place, message, { related })
    } else if (builtin.has(service.name) && service.name !== 'user' && service.name !== 'user2') {
      const message = `cannot define "${service.name}": s6-overlay brings a service of that name`
      yield rejection('S6_DUPLICATE_NAME', place, message, { hint: 'choose another name' })
    }
    seen.set(service.name, first ?? service)
  }
}
