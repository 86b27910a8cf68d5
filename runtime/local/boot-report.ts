import type { Plan } from '../../schema/plan.ts'
import { describeExit } from '../shared/process-exit.ts'
import { createTerminalBlock, type Terminal } from '../shared/terminal-block.ts'
import { isAllReady, type Progress } from './boot-progress.ts'
import { formatSeconds, formatTable } from './boot-table.ts'
import { entryUrls, routeUrls } from './machine-urls.ts'

/** What a person sees of a machine that starts, runs and stops. */
export interface BootReport {
  readonly changed: (before: Progress, after: Progress, all: readonly Progress[]) => void
  readonly say: (line: string) => void
  readonly close: () => void
}

export interface BootReportOptions {
  readonly plan: Plan
  readonly stdout: Terminal
  readonly startedAtMs: number
}

/** One line for each thing that happens: `12.3s comfyui-gpu0 ready after 2.1 s`. For logs and pipes. */
export function createLineReport({ plan, stdout, startedAtMs }: BootReportOptions): BootReport {
  let wasAllReady = false
  const say = (line: string) => {
    stdout.write(`${((Date.now() - startedAtMs) / 1000).toFixed(1)}s ${line}\n`)
  }
  for (const url of entryUrls(plan)) say(url)
  return {
    say,
    changed: (before, after, all) => {
      const text = describeChange(before, after)
      if (text !== null) say(`${after.service.name} ${text}`)
      if (!wasAllReady && isAllReady(all)) {
        wasAllReady = true
        say('all ready')
        for (const url of routeUrls(plan)) say(url)
      }
    },
    close: () => {},
  }
}

/** Waiting and starting go without saying, except after a death. */
function describeChange(before: Progress, after: Progress): string | null {
  const { state, reason, startupMs, deaths, lastExit } = after
  if (state === 'waiting' && deaths > before.deaths && lastExit !== null && !hasSucceeded(after)) {
    return `died (${describeExit(lastExit)})`
  }
  if (state === before.state) return null
  if (state === 'ready' || state === 'done') return `${state} after ${formatSeconds(startupMs ?? 0)}`
  if (state === 'failed' || state === 'unready') return reason === null ? state : `${state} (${reason})`
  return state === 'down' && before.state === 'stopping' ? 'stopped' : null
}

function hasSucceeded({ service, lastExit }: Progress): boolean {
  return service.kind === 'task' && lastExit?.kind === 'exit' && lastExit.code === 0
}

/** While something moves, its times do too. */
const TICK_MS = 200

/** A table that is repainted in place. */
export function createTableReport({ plan, stdout, startedAtMs }: BootReportOptions): BootReport {
  const block = createTerminalBlock(stdout)
  const color = !process.env.NO_COLOR
  let progress: readonly Progress[] = []
  let isScheduled = false
  let isOver = false

  const paint = () => {
    isScheduled = false
    if (progress.length === 0) return
    const layout = { columns: stdout.columns || 80, rows: (stdout.rows ?? 24) - FOOTER_ROWS, color, nowMs: Date.now() }
    const summary = isOver ? 'stopped' : summarize(progress, startedAtMs)
    block.paint([...formatTable(progress, layout), '', ...footer(plan, progress, stdout), summary])
  }
  const timer = setInterval(() => {
    if (!isAllReady(progress)) paint()
  }, TICK_MS)

  return {
    say: (line) => block.print(line),
    changed: (_before, _after, all) => {
      progress = all
      if (!isScheduled) setImmediate(paint)
      isScheduled = true
    },
    close: () => {
      clearInterval(timer)
      isOver = true
      paint()
      block.settle()
    },
  }
}

const FOOTER_ROWS = 6

function footer(plan: Plan, progress: readonly Progress[], { columns = 80, rows = 24 }: Terminal): string[] {
  const room = rows - progress.length - FOOTER_ROWS
  const routes = isAllReady(progress) ? routeUrls(plan).slice(0, Math.max(0, room)) : []
  return [...entryUrls(plan), ...routes].map((line) => line.slice(0, columns))
}

function summarize(progress: readonly Progress[], startedAtMs: number): string {
  if (isAllReady(progress)) {
    const last = Math.max(...progress.map(({ sinceMs }) => sinceMs))
    return `all ${progress.length} ready after ${formatSeconds(last - startedAtMs)}; Ctrl-C stops`
  }
  const ready = progress.filter(({ state }) => state === 'ready' || state === 'done').length
  return `${ready} of ${progress.length} ready`
}
