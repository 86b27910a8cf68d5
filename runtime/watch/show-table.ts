import { openScreen } from '../mgpu/screen.ts'
import type { Terminal } from '../shared/terminal-block.ts'
import { createFleetKeeper, type FleetKeeper } from './fleet-keeper.ts'
import { formatFleet, type Surroundings } from './fleet-table.ts'
import { followStream } from './follow-stream.ts'
import { formatMachine } from './machine-table.ts'
import type { Source } from './watch.ts'

export interface ShowOptions {
  readonly source: Source
  /** The only one to show; `null`: the fleet. */
  readonly machine: string | null
  readonly isOnce: boolean
  readonly isColored: boolean
  readonly terminal: Terminal
  readonly write: (text: string) => Promise<void>
  /** Calls back when the terminal has another size; gives what ends that. */
  readonly onResize: (changed: () => void) => () => void
  readonly signal: AbortSignal
}

/** Ages move on by themselves; what changes is shown within moments, and a storm of events as few pictures. */
const TICK_MS = 1000
const SETTLE_MS = 80

/** Lines end where the terminal does, however wide it draws a character. */
const [NO_WRAP, WRAP] = ['\u001b[?7l', '\u001b[?7h']

/** The fleet, or one machine, as a table that is kept up to date until the signal is aborted; with `isOnce`, as lines. */
export async function showTable(options: ShowOptions): Promise<void> {
  const { source, machine, isOnce, signal } = options
  const keeper = createFleetKeeper(source.stream, machine)
  if (isOnce) {
    const ignore = { onReading: () => {}, onProblem: () => {} }
    await followStream({ ...source, ...followers(keeper), ...ignore, isOnce, signal })
    const lines = draw(options, keeper, null, Number.POSITIVE_INFINITY)
    await options.write(lines.map((line) => `${line}\n`).join(''))
    return
  }
  const painter = createPainter(options, keeper)
  const release = options.onResize(painter.redraw)
  const tick = setInterval(painter.changed, TICK_MS)
  try {
    await followStream({
      ...source,
      ...followers(keeper, painter.changed),
      onReading: () => painter.setOutage(null),
      onProblem: ({ message }) => painter.setOutage(message),
      isOnce,
      signal,
    })
  } finally {
    clearInterval(tick)
    release()
    painter.close()
  }
}

interface Outage {
  readonly message: string
  readonly sinceMs: number
}

/** What puts the picture on the terminal, and gives the terminal back. */
function createPainter(options: ShowOptions, keeper: FleetKeeper) {
  const { terminal } = options
  terminal.write(NO_WRAP)
  const screen = openScreen(terminal)
  let painted = ''
  let outage: Outage | null = null
  let timer: NodeJS.Timeout | null = null
  const paint = () => {
    timer = null
    const lines = draw(options, keeper, outage, terminal.rows ?? 24)
    const text = lines.join('\n')
    if (text !== painted) screen.draw(lines)
    painted = text
  }
  const changed = () => {
    timer ??= setTimeout(paint, SETTLE_MS)
  }
  changed()
  return {
    changed,
    redraw: () => {
      painted = ''
      paint()
    },
    setOutage: (message: string | null) => {
      outage = message === null ? null : { message, sinceMs: outage?.sinceMs ?? Date.now() }
      changed()
    },
    close: () => {
      if (timer !== null) clearTimeout(timer)
      screen.close()
      terminal.write(WRAP)
    },
  }
}

function followers(keeper: FleetKeeper, changed: () => void = () => {}) {
  return {
    begin: keeper.begin,
    take: (entries: Parameters<FleetKeeper['take']>[0]) => {
      keeper.take(entries)
      if (entries.length > 0) changed()
    },
    tend: keeper.tend,
  }
}

function draw(
  { source, machine, isColored, terminal }: ShowOptions,
  keeper: FleetKeeper,
  outage: Outage | null,
  rows: number,
): string[] {
  const layout = { columns: terminal.columns ?? 80, rows, color: isColored }
  const nowMs = keeper.nowMs()
  const surroundings: Surroundings = {
    redis: source.name,
    nowMs: nowMs ?? Date.now(),
    outage: outage === null ? null : { ...outage, forMs: Date.now() - outage.sinceMs },
    missed: keeper.missed(),
    unreadable: keeper.unreadable(),
  }
  if (nowMs === null && outage === null) return [`connecting to Redis at ${source.name} ...`]
  return machine === null
    ? formatFleet(keeper.fleet(), surroundings, layout)
    : formatMachine(machine, keeper.fleet().get(machine), keeper.recent(), surroundings, layout)
}
