import type { EventDraft, MachineEvent } from '../../runtime/shared/machine-event.ts'
import { deriveDigest, deriveEvents, type Facts } from '../../runtime/sidecar/events/derive-events.ts'
import { numberEvent } from '../../runtime/sidecar/events/journal-record.ts'
import { NOTHING_TOLD, type Told, tell } from '../../runtime/sidecar/events/told.ts'
import type { PlannedService } from '../../schema/plan.ts'
import { localPlan } from './local-tree.ts'
import { story } from './machine-records.ts'

/** A machine that is told what happens, and that says what follows from it. */
export function eventStory(services: readonly PlannedService[]) {
  const plan = localPlan('/m', services)
  const machine = story(services)
  let told: Told = NOTHING_TOLD
  const events: MachineEvent[] = []
  const add = (draft: EventDraft, nowMs: number) => {
    const event = numberEvent(draft, events.length + 1, nowMs, { bootId: 'b', machine: plan.machine.id })
    events.push(event)
    told = tell(told, event)
    return event
  }
  const factsAt = (nowMs: number, more: Partial<Facts>): Facts => ({
    plan,
    version: 'test',
    machine: machine.machine(),
    resources: null,
    workload: () => null,
    previousBoot: null,
    nowMs,
    ...more,
  })
  return {
    machine,
    events,
    told: () => told,
    /** The sidecar is killed; the next one knows what the events say. */
    forget: () => {
      told = events.reduce(tell, NOTHING_TOLD)
    },
    add,
    /** What is to be said now, said. */
    say: (nowMs: number, more: Partial<Facts> = {}): MachineEvent[] => {
      const facts = factsAt(nowMs, more)
      const said = deriveEvents(told, facts).map((draft) => add(draft, nowMs))
      return [...said, ...deriveDigest(told, facts).map((draft) => add(draft, nowMs))]
    },
  }
}

/** `service.ready app ready`: an event in a word or three. */
export function brief({ type, service, worker, status }: MachineEvent): string {
  const about = type === 'worker.state' ? worker : service
  return [type, about, status].filter((part) => part !== undefined).join(' ')
}
