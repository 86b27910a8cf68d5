import type { Plan } from '../../schema/plan.ts'
import type { Compilation } from '../compile.ts'
import type { Provenance } from '../services/service-type.ts'

export interface ClaimedPort {
  readonly port: number
  /** Who has it, and what for. */
  readonly purpose: string
  readonly source: Provenance | undefined
}

/** Every port of a machine, those of the proxy too. */
export function claimedPorts(compilation: Compilation & { readonly plan: Plan }): ClaimedPort[] {
  const { plan } = compilation
  const provenance = compilation.provenance()
  const services = plan.services.flatMap(({ name, port }) =>
    port === null ? [] : [{ port, purpose: name, source: provenance[name]?.port }],
  )
  const { proxy } = plan
  if (proxy === null) return services
  const offset = provenance.nginx?.port?.note
  const tls = proxy.tls && {
    port: proxy.tls.port,
    purpose: 'nginx (TLS)',
    source: noted('/services/nginx/tls/port', offset),
  }
  const gpuPorts = proxy.gpuPorts.map(({ port, service }) => {
    const { type, gpu = 0 } = plan.services.find(({ name }) => name === service) ?? {}
    const notes = [
      gpu === 0 || gpu === null ? [] : [`+ ${gpu} (GPU ${gpu})`],
      offset === undefined ? [] : [offset],
    ].flat()
    const source = noted(`/services/nginx/gpuPorts/${type}`, notes.length === 0 ? undefined : notes.join(' '))
    return { port, purpose: `nginx, in front of ${service}`, source }
  })
  return [...services, ...(tls ? [tls] : []), ...gpuPorts]
}

function noted(pointer: string, note: string | undefined): Provenance {
  return note === undefined ? { pointer } : { pointer, note }
}
