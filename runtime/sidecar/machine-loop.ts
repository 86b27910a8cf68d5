import type { Plan, PlannedService } from '../../schema/plan.ts'
import { serviceDirectory, waitingDirectory } from '../shared/observe-service.ts'
import { watchDirectories } from '../shared/watch-directories.ts'
import type { Log } from './log.ts'
import { logChanges } from './log-changes.ts'
import { createKeeper, type MachineKeeper } from './machine-keeper.ts'
import { probed } from './machine-state.ts'
import type { HttpAsk } from './probes/http-ask.ts'
import { createProber, type ProbeKind, type Prober, type ProberOptions, type WorkerSaysReady } from './probes/prober.ts'
import type { ThisBoot } from './state/kept-state.ts'
import type { Workload } from './workload/workload.ts'

export interface MachineLoop extends Pick<MachineKeeper, 'machine' | 'follow' | 'replace' | 'carryOut'> {
  /** Looks at services now, without waiting for word of a change. */
  readonly look: (names: readonly string[]) => void
  /** A service's log says that an allocation failed: a death right after it has that reason. */
  readonly saidOutOfMemory: (service: string, atMs: number) => void
  /** What a service is busy with; `null` where it does not run, or does not tell. */
  readonly workload: (service: string) => Workload | null
  /** The machine is about to stop: it is not ready any more, and nothing is restarted. */
  readonly farewell: () => void
  readonly close: () => void
}

export interface MachineLoopOptions {
  readonly plan: Plan
  readonly log: Log
  readonly ask: HttpAsk
  readonly boot: ThisBoot
  readonly onProbe?: (service: string, kind: ProbeKind, durationMs: number, ok: boolean) => void
  readonly workerSaysReady?: WorkerSaysReady
}

/** How often is done what is due by time alone. */
const TICK_MS = 1000

/** Follows the machine: reads what changes, probes what runs, opens and closes gates, orders restarts. */
export function startMachineLoop(options: MachineLoopOptions): MachineLoop {
  const { plan, log, ask, boot, onProbe, workerSaysReady } = options
  const keeper = createKeeper(plan, log, boot)
  keeper.follow(logChanges(log))
  const probers = new Map(
    plan.services.filter(({ kind }) => kind === 'longrun').map((service) => [service.name, startProber(service)]),
  )

  function startProber(service: PlannedService): Prober {
    const report: ProberOptions['report'] = (incarnation, outcome) => {
      keeper.heedClock()
      const before = keeper.machine().services.get(service.name)!
      const record = probed(before, incarnation, outcome, Date.now())
      if (record !== before) {
        keeper.replace(record)
        keeper.act()
      }
      return record.ready
    }
    return createProber({
      service,
      ask,
      report,
      onProbe: (...probe) => onProbe?.(service.name, ...probe),
      onOutOfMemory: () => saidOutOfMemory(service.name, Date.now()),
      ...(workerSaysReady === undefined ? {} : { workerSaysReady }),
    })
  }

  function saidOutOfMemory(service: string, atMs: number): void {
    const record = keeper.machine().services.get(service)
    if (record !== undefined) keeper.replace({ ...record, outOfMemoryAtMs: atMs })
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
    [plan.paths.gates, () => lookAtAll()],
    [waitingDirectory(plan.paths), () => look(names)],
  ])
  const lookAtAll = () => {
    keeper.recheckGates()
    look(names)
  }
  const watch = watchDirectories({ directories, onSweep: lookAtAll })
  const ticks = setInterval(() => {
    keeper.tidy()
    keeper.act()
  }, TICK_MS).unref()

  return {
    machine: keeper.machine,
    follow: keeper.follow,
    replace: keeper.replace,
    carryOut: keeper.carryOut,
    look,
    saidOutOfMemory,
    workload: (service) => probers.get(service)?.workload() ?? null,
    farewell: keeper.farewell,
    close: () => {
      watch.close()
      clearInterval(ticks)
      for (const prober of probers.values()) prober.stop()
      keeper.flush()
    },
  }
}
