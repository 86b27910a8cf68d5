import { formatDuration } from '../mgpu/format.ts'
import { type Cell, type Color, clip, formatTable, paint } from '../mgpu/table.ts'
import type { MachineEvent } from '../shared/machine-event.ts'
import { type Fleet, type FleetMachine, machineState } from './fleet.ts'
import { describeProgress, plain } from './plain-text.ts'

/** What is shown of a fleet, apart from its machines. */
export interface Surroundings {
  /** Where its Redis is. */
  readonly redis: string
  /** By the clock of Redis. */
  readonly nowMs: number
  /** Since when it cannot be read, by the clock of this computer, and why. */
  readonly outage: { readonly sinceMs: number; readonly forMs: number; readonly message: string } | null
  readonly missed: number
  readonly unreadable: number
}

export interface Layout {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
}

export const STATE_COLORS: Readonly<Record<string, Color>> = {
  ready: 'green',
  done: 'green',
  busy: 'cyan',
  starting: 'yellow',
  stopping: 'yellow',
  waiting: 'grey',
  down: 'grey',
  stopped: 'grey',
  degraded: 'red',
  gone: 'red',
  failed: 'red',
  unready: 'red',
  error: 'red',
}

const LONGEST_NAME = 40
/** Headings, how many do not fit, and the last line of the terminal, which stays free. */
const OTHER_LINES = 3

/** The fleet as lines: each machine one, those in trouble first where not all fit. Pure. */
export function formatFleet(fleet: Fleet, surroundings: Surroundings, layout: Layout): string[] {
  const machines = [...fleet.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  const head = [...formatHeader(summarize(machines), surroundings, layout), '']
  if (machines.length === 0) return [...head, 'no machine has said anything yet']
  const shown = selectMachines(machines, Math.max(1, layout.rows - head.length - OTHER_LINES))
  const rows = shown.map((machine) => machineRow(machine, surroundings.nowMs))
  const headings = ['MACHINE', 'STATE', 'UP', 'SERVICES', 'WORKERS', 'SEEN', 'LAST EVENT']
  const hidden = machines.length - shown.length
  return [...head, ...formatTable(headings, rows, layout), ...(hidden === 0 ? [] : [`and ${hidden} more`])]
}

const isWell = (machine: FleetMachine) => ['ready', 'stopped'].includes(machineState(machine))

function selectMachines(machines: readonly FleetMachine[], room: number): readonly FleetMachine[] {
  if (machines.length <= room) return machines
  const inTrouble = machines.filter((machine) => !isWell(machine))
  const wanted = new Set([...inTrouble, ...machines.filter(isWell)].slice(0, room))
  return machines.filter((machine) => wanted.has(machine))
}

function summarize(machines: readonly FleetMachine[]): string {
  const total = `${machines.length} ${machines.length === 1 ? 'machine' : 'machines'}`
  const states = countWords(machines.map(machineState))
  return states === '' ? total : `${total}: ${states}`
}

/** `3 ready, 1 gone`, the most first. */
export function countWords(words: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts]
    .sort(([a, most], [b, least]) => least - most || (a < b ? -1 : 1))
    .map(([word, count]) => `${count} ${plain(word, LONGEST_NAME)}`)
    .join(', ')
}

/** What it is about, and below it whatever keeps the picture from being whole. */
export function formatHeader(title: string, surroundings: Surroundings, { columns, color }: Layout): string[] {
  const { redis, nowMs, outage, missed, unreadable } = surroundings
  const notes = [
    ...(missed === 0 ? [] : [`${missed} events are missing, the stream does not have them any more`]),
    ...(unreadable === 0 ? [] : [`${unreadable} entries of the stream are no events`]),
  ]
  const lost =
    outage === null
      ? []
      : [
          `disconnected since ${timeOf(outage.sinceMs)} UTC ` +
            `(${formatDuration(outage.forMs)}): ${plain(outage.message)}`,
        ]
  return [
    paint(clip(`${title}   ${redis}   ${timeOf(nowMs)} UTC   q ends`, columns), 'bold', color),
    ...lost.map((line) => paint(clip(line, columns), 'red', color)),
    ...notes.map((line) => paint(clip(line, columns), 'yellow', color)),
  ]
}

/** `21:38:15`, of UTC. */
export const timeOf = (ms: number): string => new Date(ms).toISOString().slice(11, 19)

function machineRow(machine: FleetMachine, nowMs: number): (string | Cell)[] {
  const { id, counts, workers, seenAtMs, last, alarms } = machine
  const isGone = machine.isThere === false
  const color = isGone ? ('grey' as const) : undefined
  const raised = alarms.size === 0 || isGone ? '' : `${[...alarms].join(', ')}! `
  return [
    { text: plain(id, LONGEST_NAME), color },
    stateCell(machineState(machine)),
    { text: formatUp(machine, nowMs), color },
    {
      text: formatCounts(machine),
      color: counts !== null && counts.ready < counts.total && !isGone ? 'yellow' : color,
    },
    { text: isGone ? '-' : countWords([...workers.values()].map(workerWord)) || '-', color },
    { text: seenAtMs === 0 ? '-' : formatAge(nowMs - seenAtMs), color },
    {
      text: plain(`${raised}${last === null ? '' : describeEvent(last.event)}`),
      color: raised === '' ? (isGone ? color : eventColor(last?.event)) : 'red',
    },
  ]
}

/** A worker that is ready waits for work. */
export const workerWord = (state: string): string => (state === 'ready' ? 'idle' : state)

export function stateCell(state: string): Cell {
  return { text: plain(state, LONGEST_NAME), color: STATE_COLORS[state] }
}

function formatCounts({ counts, services }: FleetMachine): string {
  if (counts !== null) return `${counts.ready}/${counts.total}`
  const states = [...services.values()].map(({ state }) => state)
  return states.length === 0 ? '-' : `${states.filter((state) => state === 'ready' || state === 'done').length}/?`
}

export function formatUp({ bootedAtMs, isThere }: FleetMachine, nowMs: number): string {
  return bootedAtMs === null || isThere === false ? '-' : formatDuration(nowMs - bootedAtMs)
}

/** The status comes each ten seconds: until the next one is late, it is now. */
export function formatAge(ms: number): string {
  return ms < 15_000 ? 'now' : `${formatDuration(ms)} ago`
}

/** `service.failed comfyui-gpu0: it ended: signal SIGKILL`. */
export function describeEvent(event: MachineEvent): string {
  const { type, service, worker, status, error, progress } = event
  const subject = service ?? worker
  const isTold = status === undefined || type.endsWith(`.${status}`)
  const words = [
    isTold ? undefined : status,
    progress === undefined ? undefined : describeProgress(progress),
    error?.message,
  ]
  const text = words.filter((word) => word !== undefined && word !== '').join(': ')
  return [type, subject, text].filter((part) => part !== undefined && part !== '').join(' ')
}

export function eventColor(event: MachineEvent | undefined): Color | undefined {
  if (event === undefined) return undefined
  return event.error === undefined && event.type !== 'events.lost' ? undefined : 'red'
}
