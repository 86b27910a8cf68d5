import type { MachineEvent } from '../shared/machine-event.ts'

/** Events of a machine that should have been there and were not, by their numbers. */
export interface MissingEvents {
  readonly machine: string
  readonly firstSeq: number
  readonly lastSeq: number
}

export interface EventOrder {
  /** Whether an event is new, and what is missing before it. Events arrive at least once, and a stream may be trimmed. */
  readonly note: (event: MachineEvent) => { readonly isNew: boolean; readonly missing: MissingEvents | null }
}

interface Known {
  /** The newest number of each boot; what comes again after a Redis lost its data is known by it. */
  readonly boots: Map<string, number>
  last: { readonly bootId: string | null; readonly seq: number }
  /** Events up to this number were seen in another life of this program, in whichever boot. */
  seenBefore: number | null
}

/** Bounds, for streams that somebody fills with nonsense. */
const MOST_MACHINES = 10_000
const MOST_BOOTS = 64

/**
 * Knows events by machine, boot and number. `resume`: the number after which the events of the one machine are wanted,
 * the number of somebody who followed it before.
 */
export function createEventOrder(resume: number | null): EventOrder {
  const machines = new Map<string, Known>()

  const knownOf = (machine: string): Known | undefined => machines.get(machine)
  const meet = (machine: string): Known => {
    const known: Known = { boots: new Map(), last: { bootId: null, seq: resume ?? 0 }, seenBefore: resume }
    machines.set(machine, known)
    dropOldest(machines, MOST_MACHINES)
    return known
  }

  return {
    note: (event) => {
      const { machine, bootId, seq } = event
      const isFirst = !machines.has(machine) && resume === null
      const known = knownOf(machine) ?? meet(machine)
      const { last } = known
      const newest = known.boots.get(bootId)
      known.last = { bootId, seq }
      if (known.seenBefore !== null) {
        const isNewVolume = last.bootId !== null && bootId !== last.bootId && seq <= last.seq
        if (seq <= known.seenBefore && !isNewVolume) return KNOWN
        known.seenBefore = null
      }
      if (newest !== undefined && seq <= newest) return KNOWN
      known.boots.delete(bootId)
      known.boots.set(bootId, seq)
      dropOldest(known.boots, MOST_BOOTS)
      const expected = Math.max(last.seq, newest ?? 0) + 1
      const isExplained = isFirst || event.type === 'events.lost' || seq <= expected
      return { isNew: true, missing: isExplained ? null : { machine, firstSeq: expected, lastSeq: seq - 1 } }
    },
  }
}

const KNOWN = { isNew: false, missing: null } as const

function dropOldest(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return
  for (const key of map.keys()) {
    map.delete(key)
    return
  }
}
