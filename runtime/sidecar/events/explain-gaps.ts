import type { MachineEvent } from '../../shared/machine-event.ts'

/**
 * The events after `seq` with an `events.lost` in each gap of their numbers. A gap is what the bound of the journal, a
 * torn line or a full disk left; it needs no record of its own, so that no crash can lose the loss. The same gap gives
 * the same event each time, with the number of the last lost one.
 */
export function explainGaps(seq: number, events: readonly MachineEvent[]): MachineEvent[] {
  const explained: MachineEvent[] = []
  let last = seq
  for (const event of events) {
    if (event.seq > last + 1) explained.push(lostEvent(last + 1, event))
    explained.push(event)
    last = event.seq
  }
  return explained
}

function lostEvent(firstSeq: number, { bootId, seq, at, machine }: MachineEvent): MachineEvent {
  const context = { count: seq - firstSeq, firstSeq, lastSeq: seq - 1 }
  return { v: 1, bootId, seq: seq - 1, at, machine, type: 'events.lost', context }
}
