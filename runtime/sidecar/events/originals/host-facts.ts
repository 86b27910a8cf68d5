import { availableParallelism, hostname, networkInterfaces, release, totalmem, type } from 'node:os'

/** The computer below the machine, as the first machines described theirs. */
export interface HostFacts {
  readonly hostname: string
  readonly os: string
  readonly cpuCores: number
  readonly totalRamGB: number
}

const GIB = 2 ** 30

export function hostFacts(): HostFacts {
  return {
    hostname: hostname(),
    os: `${type()} ${release()}`,
    cpuCores: availableParallelism(),
    totalRamGB: Math.round(totalmem() / GIB),
  }
}

/** The address by which other hosts know this one: of its first network, IPv4 before IPv6; its name where it has none. */
export function ownAddress(interfaces = networkInterfaces()): string {
  const addresses = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    // Those of one link only have a zone, which no URL can hold.
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
  const v4 = addresses.find(({ family }) => family === 'IPv4')
  const v6 = addresses.find(({ family }) => family === 'IPv6')
  return v4?.address ?? (v6 === undefined ? hostname() : `[${v6.address}]`)
}

/** Fills the machine's own address into the URL that the plan has for it. */
export function resolvePublicUrl(template: string): string {
  return template.includes('{address}') ? template.replace('{address}', ownAddress()) : template
}
