import type { Plan, PlannedService } from '../../schema/plan.ts'
import { createObserver, serviceDirectory, waitingDirectory } from '../shared/observe-service.ts'
import { CONTROL, sendControl } from '../shared/service-control.ts'
import { watchDirectories } from '../shared/watch-directories.ts'
import { createGates } from './gates.ts'
import type { Log } from './log.ts'
import {
  countRestarts,
  initialMachine,
  type MachineState,
  observe,
  probed,
  type ServiceRecord,
} from './machine-state.ts'
import { type Action, decide } from './policy.ts'
import type { HttpAsk } from './probes/http-ask.ts'
import { createProber, type Prober, type ProberOptions } from './probes/prober.ts'

export interface MachineLoop {
  readonly machine: () => MachineState
  /** The machine is about to stop: it is not ready any more, and nothing is restarted. */
  readonly farewell: () => void
  readonly close: () => void
}

export interface MachineLoopOptions {
  readonly plan: Plan
  readonly log: Log
  readonly ask: HttpAsk
}

/** Follows the machine: reads what changes, probes what runs, opens and closes gates, orders restarts. */
export function startMachineLoop({ plan, log, ask }: MachineLoopOptions): MachineLoop {
  const keeper = createKeeper(plan, log)
  const probers = new Map(
    plan.services.filter(({ kind }) => kind === 'longrun').map((service) => [service.name, startProber(service)]),
  )

  function startProber(service: PlannedService): Prober {
    const report: ProberOptions['report'] = (incarnation, outcome) => {
      const before = keeper.machine().services.get(service.name)!
      const record = probed(before, incarnation, outcome, Date.now())
      if (record !== before) {
        keeper.replace(record)
        keeper.act()
      }
      return record.ready
    }
    return createProber({ service, ask, report })
  }

  const look = (names: readonly string[]) => {
    for (const name of names) {
      const { incarnation, launchedAtMs } = keeper.look(name)
      if (incarnation === null || launchedAtMs === null) probers.get(name)?.stop()
      else probers.get(name)?.follow(incarnation, launchedAtMs)
    }
    keeper.act()
  }

  const names = plan.services.map(({ name }) => name)
  const directories = new Map<string, () => void>([
    ...names.map((name): [string, () => void] => [
      `${serviceDirectory(plan.paths, name)}/supervise`,
      () => look([name]),
    ]),
    [plan.paths.gates, () => look(names)],
    [waitingDirectory(plan.paths), () => look(names)],
  ])
  const onSweep = () => {
    look(names)
    keeper.recheckGates()
  }
  const watch = watchDirectories({ directories, onSweep })

  const close = () => {
    watch.close()
    for (const prober of probers.values()) prober.stop()
  }
  return { machine: keeper.machine, farewell: keeper.farewell, close }
}

/** Keeps the state of the machine, and does what follows from a change of it: the gate, the log, orders. */
function createKeeper(plan: Plan, log: Log) {
  let machine = initialMachine(plan, Date.now())
  const observers = new Map(plan.services.map(({ name }) => [name, createObserver(plan.paths, name)]))
  const gates = createGates(plan.paths.gates, (name, error) => {
    log.error({ context: { service: name } }, `cannot set the gate of "${name}": ${error.message}`)
  })

  const replace = (record: ServiceRecord) => {
    const { name, kind } = record.service
    const before = machine.services.get(name)!
    machine = { ...machine, services: new Map(machine.services).set(name, record) }
    // A gate closes with the death itself; everything else can wait.
    if (kind === 'longrun') gates.set(name, record.ready)
    if (before.state !== record.state || before.observation === null) logState(log, before, record)
  }

  return {
    machine: () => machine,
    replace,
    look: (name: string): ServiceRecord => {
      const record = observe(machine, name, observers.get(name)!(), Date.now())
      replace(record)
      return record
    },
    act: () => {
      for (const action of decide(machine, Date.now())) replace(carryOut(plan, log, machine, action))
    },
    recheckGates: gates.recheck,
    farewell: () => {
      if (machine.stopping) return
      machine = { ...machine, stopping: true }
      log.info('the machine is about to stop')
    },
  }
}

/** Gives the order and notes it, so that it is given once. */
function carryOut(plan: Plan, log: Log, machine: MachineState, action: Action): ServiceRecord {
  const { kind, service: name, incarnation, reason } = action
  const record = machine.services.get(name)!
  const atMs = record.order?.incarnation === incarnation ? record.order.atMs : Date.now()
  const context = { service: name, gpu: record.service.gpu, action: kind, reason }
  try {
    sendControl(serviceDirectory(plan.paths, name), kind === 'kill' ? CONTROL.kill : CONTROL.restart)
    log.warn({ context }, `${kind === 'kill' ? 'kills' : 'restarts'} "${name}": ${reason}`)
  } catch (error) {
    log.error({ context }, `cannot ${kind} "${name}": ${(error as Error).message}`)
  }
  return { ...record, order: { incarnation, atMs, killed: kind === 'kill' } }
}

function logState(log: Log, before: ServiceRecord, record: ServiceRecord): void {
  const { service, state, reason, observation, startupMs } = record
  const context = {
    service: service.name,
    gpu: service.gpu,
    state,
    previous: before.observation === null ? null : before.state,
    reason,
    pid: observation?.status?.pid || null,
    port: service.port,
    restarts: countRestarts(record),
    ...(state === 'ready' ? { startupMs } : {}),
  }
  const why = reason === null ? '' : ` (${reason})`
  log[LEVELS[state] ?? 'info']({ context }, `"${service.name}" is ${state}${why}`)
}

const LEVELS: Partial<Record<ServiceRecord['state'], 'warn' | 'error'>> = { failed: 'error', unready: 'warn' }
