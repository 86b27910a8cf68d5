import type { Pointer } from '../load/origin.ts'
import type { Finding } from '../services/service-type.ts'

export interface PortClaim {
  readonly port: number
  /** Who claims it, as messages name it. */
  readonly purpose: string
  readonly pointer: Pointer
}

const LAST_PORT = 65_535

/**
 * Reports ports that two claim, both named, and ports that do not exist. Two services that meet on one GPU meet on all:
 * one finding for each pair of places tells of the first.
 */
export function checkPorts(claims: readonly PortClaim[], report: (finding: Finding) => void): void {
  const owners = new Map<number, PortClaim>()
  const reported = new Set<string>()
  const reportOnce = (finding: Finding, places: string): void => {
    if (!reported.has(places)) report(finding)
    reported.add(places)
  }
  for (const claim of claims) {
    if (claim.port > LAST_PORT || claim.port < 1) {
      const finding: Finding = {
        code: 'PORT_RANGE',
        severity: 'error',
        pointer: claim.pointer,
        message: `cannot use port ${claim.port} for "${claim.purpose}": ports go from 1 to ${LAST_PORT}`,
      }
      reportOnce(finding, claim.pointer)
    }
    const owner = owners.get(claim.port)
    if (owner === undefined) owners.set(claim.port, claim)
    else reportOnce(conflict(claim, owner), `${claim.pointer} ${owner.pointer}`)
  }
}

function conflict(claim: PortClaim, owner: PortClaim): Finding {
  return {
    code: 'PORT_CONFLICT',
    severity: 'error',
    pointer: claim.pointer,
    message: `cannot use port ${claim.port} for "${claim.purpose}": "${owner.purpose}" has it`,
    related: [{ pointer: owner.pointer, message: `"${owner.purpose}" takes port ${owner.port} from here` }],
  }
}
