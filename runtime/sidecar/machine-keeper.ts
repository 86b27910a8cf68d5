import type { Plan } from '../../schema/plan.ts'
import { createObserver } from '../shared/observe-service.ts'
import { carryOut, tellFaults } from './carry-out.ts'
import { createGates } from './gates.ts'
import type { Log } from './log.ts'
import { bidFarewell, type MachineState, observe, type ServiceRecord, withRecord } from './machine-state.ts'
import { type Action, decide } from './policy.ts'
import { untalliedFaults } from './restart-budget.ts'
import { moveClock, watchClock } from './state/clock-jump.ts'
import { restoreMachine, type ThisBoot } from './state/kept-state.ts'
import { watchOomKills } from './state/oom-kills.ts'
import { createStateFiles } from './state/state-files.ts'

/** Something that happened, in the order in which it did. */
export type MachineChange =
  /** `before.observation` is `null` at the first look of a sidecar: `before` is then what the last one knew. */
  | { readonly kind: 'service'; readonly before: ServiceRecord; readonly after: ServiceRecord }
  | { readonly kind: 'action'; readonly action: Action; readonly record: ServiceRecord }
  | { readonly kind: 'farewell' }

export type Follower = (change: MachineChange) => void

export interface MachineKeeper {
  readonly machine: () => MachineState
  /** Reads the files of a service and does what follows for its record. */
  readonly look: (name: string) => ServiceRecord
  readonly replace: (record: ServiceRecord) => void
  /** Decides what is to be done now, and does it. */
  readonly act: () => void
  readonly carryOut: (action: Action) => void
  /** What only time changes: orders that do not come through, restarts that are out of their window, a clock that was set. */
  readonly tidy: () => void
  /** To be called before times are compared: moves them all where the clock was set. */
  readonly heedClock: () => void
  /** Sets gates again that somebody else touched. */
  readonly recheckGates: () => void
  readonly farewell: () => void
  readonly follow: (follower: Follower) => () => void
  readonly flush: () => void
}

/** Keeps the state of the machine, in memory and on disk, and does what follows from a change: gates, log, orders. */
export function createKeeper(plan: Plan, log: Log, boot: ThisBoot): MachineKeeper {
  const { paths } = plan
  const files = createStateFiles({
    paths,
    bootId: boot.id,
    machine: () => machine,
    onError: (file, error) =>
      log.error({ context: { file } }, `cannot keep the state of the machine: ${error.message}`),
  })
  let machine = restoreMachine(plan, files.load(), boot, Date.now())
  const observers = new Map(plan.services.map(({ name }) => [name, createObserver(paths, name)]))
  const gates = createGates(paths.gates, (name, error) => {
    log.error({ context: { service: name } }, `cannot set the gate of "${name}": ${error.message}`)
  })
  const followers = new Set<Follower>()
  const kernelKilledForMemory = watchOomKills()
  const clockJumpMs = watchClock()
  const toldFaults = new Map<string, number>()

  const tell = (change: MachineChange): void => {
    for (const follower of followers) follower(change)
  }

  const setMachine = (next: MachineState): void => {
    if (next.boots !== machine.boots) files.keepBoots(next.boots)
    machine = next
  }

  /** Before anything is measured: a probe that comes right after the clock was set would find all patience over. */
  const heedClock = (): void => {
    const jumpMs = clockJumpMs()
    if (jumpMs === 0) return
    log.warn({ context: { jumpMs } }, `the clock was set by ${(jumpMs / 1000).toFixed(1)} s`)
    setMachine(moveClock(machine, jumpMs))
  }

  const replace = (record: ServiceRecord): void => {
    const { name, kind } = record.service
    const before = machine.services.get(name)!
    if (record === before) return
    setMachine(withRecord(machine, record, Date.now()))
    // A gate closes with the death itself; everything else can wait.
    if (kind === 'longrun') gates.set(name, record.ready)
    files.keep(record)
    tell({ kind: 'service', before, after: record })
  }

  const look = (name: string): ServiceRecord => {
    heedClock()
    const seen = observers.get(name)!()
    const record = machine.services.get(name)!
    if (seen === record.observation && !mayChangeByTime(record)) return record
    replace(observe(machine, name, seen, Date.now(), kernelKilledForMemory))
    return machine.services.get(name)!
  }

  /** The order is on disk before it is given: the next sidecar knows of it, wherever this one is killed. */
  const order = (action: Action): void => {
    const { kind, service: name, incarnation, cause, reason } = action
    const record = machine.services.get(name)!
    const given = record.order?.incarnation === incarnation ? record.order : { atMs: Date.now(), reason }
    const ordered = { ...record, order: { ...given, incarnation, killed: kind === 'kill', cause } }
    replace(ordered)
    files.keepNow(ordered)
    updateFaults(ordered)
    const context = { service: name, gpu: record.service.gpu, action: kind, cause, reason }
    try {
      carryOut(paths, action, ordered)
      log.warn({ context }, `${DEEDS[kind]} "${name}": ${reason}`)
    } catch (error) {
      log.error({ context }, `cannot ${kind} "${name}": ${(error as Error).message}`)
    }
    tell({ kind: 'action', action, record: ordered })
  }

  const updateFaults = (record: ServiceRecord): void => {
    const { name } = record.service
    const isFault = record.order?.cause === 'liveness' || record.order?.cause === 'startup'
    const count = untalliedFaults(record, isFault, Date.now())
    if ((toldFaults.get(name) ?? 0) === count) return
    toldFaults.set(name, count)
    try {
      tellFaults(paths, name, count)
    } catch (error) {
      log.error({ context: { service: name } }, `cannot tell "${name}" to pause: ${(error as Error).message}`)
    }
  }

  return {
    machine: () => machine,
    look,
    replace,
    act: () => {
      heedClock()
      for (const action of decide(machine, Date.now())) order(action)
    },
    carryOut: order,
    tidy: () => {
      heedClock()
      for (const record of machine.services.values()) {
        if (mayChangeByTime(record)) look(record.service.name)
        updateFaults(record)
      }
    },
    heedClock,
    recheckGates: gates.recheck,
    farewell: () => {
      if (machine.stopping) return
      setMachine(bidFarewell(machine, Date.now()))
      log.info('the machine is about to stop')
      tell({ kind: 'farewell' })
    },
    follow: (follower) => {
      followers.add(follower)
      return () => followers.delete(follower)
    },
    flush: files.flush,
  }
}

const DEEDS: Readonly<Record<Action['kind'], string>> = {
  restart: 'restarts',
  kill: 'kills',
  'give-up': 'gives up',
}

/** An order that has not come through yet; everything else changes with a file. */
const mayChangeByTime = ({ stop, startOrderedAtMs, observation }: ServiceRecord): boolean =>
  startOrderedAtMs !== null || (stop !== null && observation?.status?.wantUp === true)
