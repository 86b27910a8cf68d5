import { type Compilation, isLastConsumer, type OwnService } from '../compilation.ts'
import { doubt, type Finding, rejection, wholeOf } from '../finding.ts'
import { builtinServices } from '../overlay.ts'
import type { Reference } from '../service-files.ts'
import { fileAt } from '../source-tree.ts'

/** Producers and consumers name each other, and are longruns. */
export function* pipelineRules(compilation: Compilation): Iterable<Finding> {
  for (const service of compilation.services) {
    yield* producerRule(compilation, service)
    for (const producer of service.consumerFor ?? []) yield* consumerRule(compilation, service, producer)
  }
}

function* producerRule({ byName }: Compilation, service: OwnService): Iterable<Finding> {
  const { name, producerFor } = service
  if (producerFor === undefined) return
  const consumer = producerFor[0]
  if (consumer === undefined || producerFor.length > 1) {
    const place = producerFor[1]?.place ?? wholeOf(fileAt(service.directory, 'producer-for')!)
    const message = `cannot make "${name}" a producer: "producer-for" names ${producerFor.length} services, not one`
    yield rejection('S6_PIPELINE', place, message, { hint: 'several producers may name the same consumer' })
    return
  }
  const target = byName.get(consumer.name)
  const start = `cannot pipe "${name}" into ${JSON.stringify(consumer.name)}: `
  if (target === undefined) yield rejection('S6_PIPELINE', consumer.place, `${start}no such service`)
  else if (target.kind !== undefined && target.kind !== 'longrun') {
    yield rejection('S6_PIPELINE', consumer.place, `${start}it is a ${target.kind}, not a longrun`)
  } else if (target.kind === 'longrun' && !target.consumerFor?.some((back) => back.name === name)) {
    const hint = `add a line "${name}" to "consumer-for" of "${consumer.name}"`
    yield rejection('S6_PIPELINE', consumer.place, `${start}it does not list it back`, { hint })
  }
}

function* consumerRule({ byName }: Compilation, service: OwnService, producer: Reference): Iterable<Finding> {
  const target = byName.get(producer.name)
  const start = `cannot have "${service.name}" read from ${JSON.stringify(producer.name)}: `
  if (target === undefined) yield rejection('S6_PIPELINE', producer.place, `${start}no such service`)
  else if (target.kind !== undefined && target.kind !== 'longrun') {
    yield rejection('S6_PIPELINE', producer.place, `${start}it is a ${target.kind}, not a longrun`)
  } else if (target.kind === 'longrun' && target.producerFor?.[0]?.name !== service.name) {
    const hint = `write "${service.name}" into "producer-for" of "${producer.name}"`
    yield rejection('S6_PIPELINE', producer.place, `${start}it does not list it back`, { hint })
  }
}

/** The bundle that s6-rc makes of a pipeline: named, by a name that is free. */
export function* pipelineNameRules(compilation: Compilation): Iterable<Finding> {
  const { services, profile } = compilation
  const builtin = profile === undefined ? [] : builtinServices().map(({ name }) => name)
  const taken = new Set([...services.map(({ name }) => name), ...builtin])
  for (const service of services) {
    const file = fileAt(service.directory, 'pipeline-name')
    if (!isLastConsumer(service)) {
      if (service.kind === 'longrun' && file !== undefined) {
        const message = `cannot name a pipeline by "${service.name}": it is not where one ends, and the file is passed over`
        yield doubt('S6_PIPELINE_NAME', wholeOf(file), message, { hint: 'give it to the last consumer' })
      }
    } else if (service.pipelineName === undefined) {
      const message = `cannot address the pipeline that ends in "${service.name}" as a whole: it has no "pipeline-name"`
      const hint =
        'write a name into "pipeline-name": s6-rc makes a bundle of it, which starts and stops all of the pipeline'
      yield doubt('S6_PIPELINE_NAME', wholeOf(service.directory), message, { hint })
    } else yield* badPipelineName(service, taken)
  }
}

function* badPipelineName(service: OwnService, taken: Set<string>): Iterable<Finding> {
  const names = service.pipelineName!
  const [name, second] = names
  if (name === undefined || second !== undefined) {
    const place = second?.place ?? wholeOf(fileAt(service.directory, 'pipeline-name')!)
    const message = `cannot name the pipeline that ends in "${service.name}": "pipeline-name" holds ${names.length} names, not one`
    yield rejection('S6_PIPELINE_NAME', place, message)
    return
  }
  if (taken.has(name.name)) {
    const message = `cannot name the pipeline that ends in "${service.name}" "${name.name}": a service or pipeline has that name`
    yield rejection('S6_PIPELINE_NAME', name.place, message, { hint: `for example "${service.name}-pipeline"` })
  }
  taken.add(name.name)
}
