import type { StateName } from '../shared/service-state.ts'
import type { Progress } from './boot-progress.ts'

export interface TableLayout {
  readonly columns: number
  /** Lines that fit; services beyond are counted in a last line, the ready ones first to go. */
  readonly rows: number
  readonly color: boolean
  readonly nowMs: number
}

const COLORS: Readonly<Record<StateName, number>> = {
  ready: 32,
  done: 32,
  starting: 33,
  waiting: 90,
  down: 90,
  stopping: 33,
  unready: 31,
  failed: 31,
}

const HEADINGS = ['SERVICE', 'GPU', 'STATE', 'PORT', 'TIME']

/** The boot table as lines of at most `columns` characters. */
export function formatTable(progress: readonly Progress[], { columns, rows, color, nowMs }: TableLayout): string[] {
  const shown = selectRows(progress, Math.max(1, rows - 1))
  const cells = shown.map((row) => rowCells(row, nowMs))
  const widths = HEADINGS.map((heading, index) => Math.max(heading.length, ...cells.map((row) => row[index]!.length)))
  const line = (row: readonly string[]) => row.map((cell, index) => cell.padEnd(widths[index]!)).join('  ')
  const body = shown.map((row, index) => {
    const text = truncate(`${line(cells[index]!)}${row.reason === null ? '' : `  ${row.reason}`}`.trimEnd(), columns)
    return color ? paintState(text, row.state, widths) : text
  })
  const hidden = progress.length - shown.length
  return [
    truncate(line(HEADINGS).trimEnd(), columns),
    ...body,
    ...(hidden === 0 ? [] : [truncate(`and ${hidden} more`, columns)]),
  ]
}

/** What fits, in the plan's order; those that are not ready yet are the ones to look at. */
function selectRows(progress: readonly Progress[], room: number): readonly Progress[] {
  if (progress.length <= room) return progress
  const isSettled = ({ state }: Progress) => state === 'ready' || state === 'done'
  const wanted = new Set(
    [...progress.filter((row) => !isSettled(row)), ...progress.filter(isSettled)].slice(0, Math.max(1, room - 1)),
  )
  return progress.filter((row) => wanted.has(row))
}

function rowCells({ service, state, sinceMs, startupMs }: Progress, nowMs: number): string[] {
  const timeMs = state === 'ready' || state === 'done' ? (startupMs ?? 0) : nowMs - sinceMs
  return [
    service.name,
    service.gpu === null ? '-' : String(service.gpu),
    state,
    String(service.port ?? '-'),
    formatSeconds(timeMs),
  ]
}

/** `2.1 s` */
export function formatSeconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`
}

function truncate(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`
}

/** Colours the state in a finished line, so that the escape codes do not count in its width. */
function paintState(text: string, state: StateName, widths: readonly number[]): string {
  const from = widths[0]! + 2 + widths[1]! + 2
  if (text.slice(from, from + state.length) !== state) return text
  return `${text.slice(0, from)}\u001b[${COLORS[state]}m${state}\u001b[0m${text.slice(from + state.length)}`
}
