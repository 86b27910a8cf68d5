import { createServer } from 'node:net'
import type { Plan } from '../../schema/plan.ts'

export interface PlannedPort {
  readonly port: number
  readonly address: string
  readonly service: string
}

/** Every port that the machine will bind. */
export function plannedPorts(plan: Pick<Plan, 'services' | 'proxy' | 'sidecar'>): readonly PlannedPort[] {
  const { proxy, sidecar } = plan
  const services = plan.services.flatMap(({ name, port, listen, address }) =>
    port === null || name === 'sidecar' ? [] : [{ port, address: listen ?? address ?? '127.0.0.1', service: name }],
  )
  const proxyPorts = [...(proxy?.tls ? [proxy.tls.port] : []), ...(proxy?.gpuPorts ?? []).map(({ port }) => port)]
  return [
    { port: sidecar.port, address: sidecar.listen, service: 'sidecar' },
    ...services,
    ...proxyPorts.map((port) => ({ port, address: proxy?.listen ?? '127.0.0.1', service: 'nginx' })),
  ]
}

/** What stands in the way of the planned ports, a line each. */
export async function findTakenPorts(ports: readonly PlannedPort[]): Promise<readonly string[]> {
  const verdicts = await Promise.all(
    ports.map(async ({ port, address, service }) => {
      const code = await tryPort(port, address)
      return code === null
        ? []
        : [`cannot use port ${port} for "${service}": ${REASONS[code] ?? `${address}: ${code}`}`]
    }),
  )
  return verdicts.flat()
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program on this host has it; stop that one, or move all ports with --port-offset',
  EACCES: 'only root may bind it; move all ports with --port-offset',
}

/** The code of the error that a server would meet there; `null` for none. */
function tryPort(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
