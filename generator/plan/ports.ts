import type { Pointer } from '../load/origin.ts'
import type { Finding } from '../services/service-type.ts'

export interface PortClaim {
  readonly port: number
  /** Who claims it, as messages name it. */
  readonly purpose: string
  readonly pointer: Pointer
}

const LAST_PORT = 65_535

/** Reports ports that two claim, both named, and ports that do not exist. */
export function checkPorts(claims: readonly PortClaim[], report: (finding: Finding) => void): void {
  const owners = new Map<number, PortClaim>()
  for (const claim of claims) {
    if (claim.port > LAST_PORT) {
      report({
        code: 'PORT_RANGE',
        severity: 'error',
        pointer: claim.pointer,
        message: `cannot use port ${claim.port} for "${claim.purpose}": the last port is ${LAST_PORT}`,
      })
    }
    const owner = owners.get(claim.port)
    if (owner === undefined) owners.set(claim.port, claim)
    else report(conflict(claim, owner))
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
