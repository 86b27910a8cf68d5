import { type Cell, clip, formatTable, paint } from '../mgpu/table.ts'
import { type FleetMachine, type FleetService, machineState } from './fleet.ts'
import type { RecentEvent } from './fleet-keeper.ts'
import {
  countWords,
  describeEvent,
  eventColor,
  formatAge,
  formatHeader,
  formatUp,
  type Layout,
  type Surroundings,
  stateCell,
  timeOf,
  workerWord,
} from './fleet-table.ts'
import { describeProgress, plain } from './plain-text.ts'

/** Lines for the events below the services, where the services leave so many. */
const LEAST_EVENTS = 5
const MOST_EVENTS = 30
/** Headings, how many do not fit, an empty line, and the last line of the terminal, which stays free. */
const OTHER_LINES = 4
const LONGEST_NAME = 40

/** One machine as lines: its services, and below them its newest events, as many as fit. Pure. */
export function formatMachine(
  id: string,
  machine: FleetMachine | undefined,
  recent: readonly RecentEvent[],
  surroundings: Surroundings,
  layout: Layout,
): string[] {
  if (machine === undefined) {
    return [
      ...formatHeader(plain(id, LONGEST_NAME), surroundings, layout),
      '',
      'this machine has not said anything yet',
    ]
  }
  const head = [
    ...formatHeader(`${plain(id, LONGEST_NAME)}: ${plain(machineState(machine), LONGEST_NAME)}`, surroundings, layout),
    clip(describeMachine(machine, surroundings.nowMs), layout.columns),
    ...(machine.alarms.size === 0
      ? []
      : [paint(clip(plain(`alarms: ${[...machine.alarms].join(', ')}`), layout.columns), 'red', layout.color)]),
    '',
  ]
  const services = [...machine.services].sort(([a], [b]) => (a < b ? -1 : 1))
  const room = Math.max(1, layout.rows - head.length - OTHER_LINES - LEAST_EVENTS)
  const shown = selectServices(services, room)
  const hidden = services.length - shown.length
  const table = formatTable(['SERVICE', 'GPU', 'STATE', 'RESTARTS', 'DOES'], shown.map(serviceRow), layout)
  const body = [...head, ...table, ...(hidden === 0 ? [] : [`and ${hidden} more`]), '']
  return [...body, ...formatEvents(recent, Math.min(MOST_EVENTS, Math.max(0, layout.rows - body.length - 1)), layout)]
}

const isWell = ({ state, progress }: FleetService) => (state === 'ready' || state === 'done') && progress === null

function selectServices<Entry extends readonly [string, FleetService]>(services: readonly Entry[], room: number) {
  if (services.length <= room) return services
  const order = [...services.filter(([, one]) => !isWell(one)), ...services.filter(([, one]) => isWell(one))]
  const wanted = new Set(order.slice(0, room))
  return services.filter((entry) => wanted.has(entry))
}

function describeMachine(machine: FleetMachine, nowMs: number): string {
  const { counts, workers, seenAtMs } = machine
  const words = countWords([...workers.values()].map(workerWord))
  const facts = [
    `up ${formatUp(machine, nowMs)}`,
    counts === null ? '' : `${counts.ready} of ${counts.total} services ready`,
    words === '' ? '' : `workers: ${words}`,
    seenAtMs === 0 ? '' : `seen ${formatAge(nowMs - seenAtMs)}`,
  ]
  return facts.filter((fact) => fact !== '').join('   ')
}

function serviceRow([name, service]: readonly [string, FleetService]): (string | Cell)[] {
  const { gpu, state, restarts, progress, reason } = service
  const does = [progress === null ? '' : describeProgress(progress), reason ?? '']
  return [
    plain(name, LONGEST_NAME),
    gpu === null ? '-' : String(gpu),
    stateCell(state),
    { text: String(restarts), color: restarts > 0 ? 'yellow' : undefined },
    { text: plain(does.filter((part) => part !== '').join(': ')), color: reason === null ? undefined : 'red' },
  ]
}

function formatEvents(recent: readonly RecentEvent[], room: number, { columns, color }: Layout): string[] {
  return recent
    .filter(({ event }) => event.type !== 'health.digest')
    .slice(room === 0 ? Number.POSITIVE_INFINITY : -room)
    .map(({ event, atMs }) => {
      return paint(clip(plain(`${timeOf(atMs)} ${describeEvent(event)}`), columns), eventColor(event), color)
    })
}
