import type { Plan } from '../../schema/plan.ts'
import { giveBackBudget } from '../shared/give-back-budget.ts'
import { serviceDirectory } from '../shared/observe-service.ts'
import { CONTROL, isSupervised, sendControl } from '../shared/service-control.ts'
import { findMembers, unknownName } from '../shared/service-names.ts'
import type { EventJournal } from './events/event-journal.ts'
import type { Log } from './log.ts'
import type { MachineLoop } from './machine-loop.ts'
import type { ServiceRecord } from './machine-state.ts'
import type { OperationResult, Operations, Operator } from './operations.ts'
import { forgive } from './state/service-history.ts'
import { waitUntilReady } from './when-ready.ts'

export interface OperationsOptions {
  readonly plan: Pick<Plan, 'services' | 'bundles' | 'paths'>
  readonly loop: MachineLoop
  readonly log: Log
  readonly journal: () => EventJournal | null
}

type Verb = 'start' | 'stop' | 'restart'

/** What operators can do, carried out by orders to the supervisors. */
export function createOperations({ plan, loop, log, journal }: OperationsOptions): Operations {
  const { paths } = plan
  const record = (name: string): ServiceRecord => loop.machine().services.get(name)!

  /** The deaths are counted before their record is put away, and the state is on disk before the order is given. */
  const forgiveDeaths = (name: string): void => {
    loop.look([name])
    giveBackBudget(paths, name)
    loop.replace({ ...record(name), history: forgive(record(name).history), stop: null })
  }

  const send = (name: string, orders: string): void => {
    if (sendControl(serviceDirectory(paths, name), orders) === 'not-supervised') throw new Error(UNSUPERVISED)
  }

  const doIt: Readonly<Record<Verb, (name: string, operator: Operator) => void>> = {
    start: (name, operator) => {
      const isPausing = record(name).state === 'waiting' && record(name).history.faults.length > 0
      forgiveDeaths(name)
      // One that pauses after its last death is not to make an operator wait.
      if (isPausing) endRun(name, operator)
      startRun(name)
    },
    stop: (name, operator) => {
      forgiveDeaths(name)
      const stop = { atMs: Date.now(), operator: operator.name, reason: operator.reason ?? null }
      loop.replace({ ...record(name), stop })
      send(name, CONTROL.down)
    },
    restart: (name, operator) => {
      forgiveDeaths(name)
      endRun(name, operator)
      startRun(name)
    },
  }

  const startRun = (name: string): void => {
    if (record(name).incarnation === null) loop.replace({ ...record(name), startOrderedAtMs: Date.now() })
    send(name, CONTROL.up)
  }

  const endRun = (name: string, { name: by, reason }: Operator): void => {
    const { incarnation } = record(name)
    if (incarnation === null) return
    const words = `${by} asked for it${reason === undefined ? '' : `: ${reason}`}`
    loop.carryOut({ kind: 'restart', service: name, incarnation, cause: 'operator', reason: words })
  }

  const operate = (verb: Verb, name: string, operator: Operator): OperationResult => {
    const members = findMembers(plan, name)
    if (members === null) return { ok: false, code: 'NOT_FOUND', message: unknownName(plan, name) }
    const refusal = refuse(plan, verb, members)
    if (refusal !== null) return refusal
    try {
      for (const member of members) doIt[verb](member, operator)
    } catch (error) {
      const { message } = error as Error
      return { ok: false, code: 'FAILED', message: `cannot ${verb} "${name}": ${message}` }
    } finally {
      loop.look(members)
    }
    const context = { operator: operator.name, reason: operator.reason ?? null, services: members }
    log.info({ context: { ...context, service: name, action: verb } }, `${operator.name}: ${verb} "${name}"`)
    const subject = members.includes(name) ? { service: name } : {}
    journal()?.append({ type: 'operator.action', ...subject, status: verb, context: { ...context, name } })
    return { ok: true, services: members }
  }

  return {
    start: (name, operator) => operate('start', name, operator),
    stop: (name, operator) => operate('stop', name, operator),
    restart: (name, operator) => operate('restart', name, operator),
    whenReady: (name, timeoutMs) => {
      const members = findMembers(plan, name)
      if (members !== null) return waitUntilReady(loop, members, timeoutMs)
      return Promise.resolve({ ok: false, code: 'FAILED', message: unknownName(plan, name) })
    },
  }
}

const UNSUPERVISED = 'no supervisor looks after it'

function refuse(
  { services, paths }: OperationsOptions['plan'],
  verb: Verb,
  members: readonly string[],
): OperationResult | null {
  const sidecar = services.find(({ type }) => type === 'sidecar')?.name
  if (verb === 'stop' && sidecar !== undefined && members.includes(sidecar)) {
    return { ok: false, code: 'REFUSED', message: `cannot stop "${sidecar}": nobody could start it again from here` }
  }
  const orphan = members.find((name) => !isSupervised(serviceDirectory(paths, name)))
  if (orphan === undefined) return null
  return { ok: false, code: 'NOT_SUPERVISED', message: `cannot ${verb} "${orphan}": ${UNSUPERVISED}` }
}
