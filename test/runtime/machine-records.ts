import type { Death } from '../../runtime/shared/death-tally.ts'
import type { ServiceObservation } from '../../runtime/shared/observe-service.ts'
import type { ServiceStatus } from '../../runtime/shared/supervise-status.ts'
import { initialMachine, type MachineState, observe, probed } from '../../runtime/sidecar/machine-state.ts'
import type { ProbeOutcome } from '../../runtime/sidecar/probes/probe.ts'
import type { OrderCause } from '../../runtime/sidecar/state/service-record.ts'
import type { PlannedService } from '../../schema/plan.ts'

export const OK: ProbeOutcome = { ok: true }
export const REFUSED: ProbeOutcome = { ok: false, patient: false, problem: 'nothing listens' }
export const SLOW: ProbeOutcome = { ok: false, patient: true, problem: 'no answer' }

const STATUS: ServiceStatus = {
  changedAtMs: 0,
  readyAtMs: 0,
  pid: 0,
  pgid: null,
  up: false,
  announcedReady: false,
  paused: false,
  finishing: false,
  wantUp: true,
  lastExit: { kind: 'exit', code: 0 },
}

/** What files say of a service; absent fields are those of a supervised one that is down. */
export function seen(
  status: Partial<ServiceStatus>,
  more: Partial<Omit<ServiceObservation, 'status'>> = {},
): ServiceObservation {
  return {
    supervised: true,
    status: { ...STATUS, ...status },
    deaths: [],
    allDeaths: more.deaths ?? [],
    waiting: null,
    gateOpenedAtMs: null,
    givenUp: null,
    ...more,
  }
}

/** It runs since `changedAtMs` under that pid. */
export function running(pid: number, changedAtMs: number, more: Partial<Omit<ServiceObservation, 'status'>> = {}) {
  return seen({ pid, changedAtMs, up: true }, more)
}

export const exits = (count: number, atMs = 0): Death[] =>
  Array.from({ length: count }, (_, index) => died(atMs + index, { kind: 'exit', code: 1 }))

/** A death whose record is named by its time. */
export const died = (atMs: number, exit: Death['exit']): Death => ({ atMs, exit, id: `record of ${atMs}` })

/** A machine that is told what happens, step by step. */
export function story(services: readonly PlannedService[]) {
  let machine: MachineState = initialMachine({ services }, 0)
  const put = (name: string, record: ReturnType<typeof observe>) => {
    machine = { ...machine, services: new Map(machine.services).set(name, record) }
  }
  const teller = {
    machine: () => machine,
    record: (name: string) => machine.services.get(name)!,
    see: (name: string, observation: ServiceObservation, nowMs: number) => {
      put(name, observe(machine, name, observation, nowMs))
      return teller
    },
    probe: (name: string, outcome: ProbeOutcome, nowMs: number) => {
      const record = machine.services.get(name)!
      put(name, probed(record, record.incarnation ?? '', outcome, nowMs))
      return teller
    },
    farewell: () => {
      machine = { ...machine, stopping: true }
      return teller
    },
    order: (name: string, atMs: number, killed = false, cause: OrderCause = 'liveness') => {
      const record = machine.services.get(name)!
      put(name, { ...record, order: { incarnation: record.incarnation ?? '', atMs, killed, cause, reason: '' } })
      return teller
    },
  }
  return teller
}
