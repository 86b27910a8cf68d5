import type { ProvisionProgress } from '../../shared/provision-progress.ts'
import { createTerminalBlock } from '../../shared/terminal-block.ts'
import { bar, formatBytes, formatSeconds } from './format-progress.ts'
import type { ItemProgress, ItemStatus } from './tally.ts'

export interface ItemResult {
  readonly item: string
  readonly status: ItemStatus
  readonly message?: string
}

/** Where a run tells people, or a program, how far it is. */
export interface ReportOutput {
  readonly progress: (progress: ProvisionProgress, active: readonly ItemProgress[]) => void
  readonly item: (result: ItemResult) => void
  readonly note: (text: string) => void
  readonly end: (end: { readonly state: 'done' | 'failed'; readonly lines: readonly string[] }) => void
}

/** A stream, as far as this needs one. */
export interface Sink {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  readonly write: (text: string) => unknown
}

/** Bars on a terminal, JSON lines where a program reads, and plain lines in a log. */
export function chooseOutput(task: string, sink: Sink, isJson: boolean): ReportOutput {
  if (isJson) return jsonOutput(sink)
  return sink.isTTY === true ? terminalOutput(task, sink) : lineOutput(task, sink)
}

function jsonOutput(sink: Sink): ReportOutput {
  const line = (value: object) => sink.write(`${JSON.stringify(value)}\n`)
  return {
    progress: (progress, active) => line({ type: 'progress', ...progress, active }),
    item: (result) => line({ type: 'item', ...result }),
    note: (text) => line({ type: 'note', message: text }),
    end: ({ state, lines }) => line({ type: state, messages: lines }),
  }
}

/** A log of an hour should not be all progress. */
const LINE_INTERVAL_MS = 10_000

function lineOutput(task: string, sink: Sink): ReportOutput {
  let lastMs = 0
  let lastPhase = ''
  const line = (text: string) => sink.write(`${task}: ${text}\n`)
  return {
    progress: (progress) => {
      const nowMs = Date.parse(progress.at)
      const isNewPhase = progress.phase !== lastPhase
      if (progress.state !== 'running' || (!isNewPhase && nowMs - lastMs < LINE_INTERVAL_MS)) return
      lastMs = nowMs
      lastPhase = progress.phase
      line(summaryOf(progress))
    },
    item: ({ item, status, message }) => line(`${item}: ${status}${message === undefined ? '' : `: ${message}`}`),
    note: line,
    end: ({ state, lines }) => {
      for (const text of lines) line(state === 'done' ? `warning: ${text}` : text)
      line(state)
    },
  }
}

function summaryOf(progress: ProvisionProgress): string {
  const { phase, bytes, totalBytes, bytesPerSecond, etaSeconds, done, total } = progress
  const parts = [
    phase,
    ...(total > 0 ? [`${done} of ${total}`] : []),
    ...(bytes > 0 ? [totalBytes === null ? formatBytes(bytes) : amountOf(bytes, totalBytes)] : []),
    ...(bytesPerSecond > 0 ? [`${formatBytes(bytesPerSecond)}/s`] : []),
    ...(etaSeconds === null ? [] : [`${formatSeconds(etaSeconds)} left`]),
  ]
  return parts.join(', ')
}

const amountOf = (bytes: number, totalBytes: number) =>
  `${formatBytes(bytes)} of ${formatBytes(totalBytes)} (${percentOf(bytes, totalBytes)} %)`

const percentOf = (bytes: number, total: number) =>
  total === 0 ? 100 : Math.min(100, Math.floor((bytes / total) * 100))

/** Bars for those that take longest, and one line for all. */
const MOST_BARS = 8

function terminalOutput(task: string, sink: Sink): ReportOutput {
  const block = createTerminalBlock(sink)
  const width = () => Math.max(20, (sink.columns ?? 80) - 1)
  return {
    progress: (progress, active) => {
      const shown = progress.state === 'running' ? active.slice(0, Math.min(MOST_BARS, (sink.rows ?? 24) - 3)) : []
      const hidden = progress.state === 'running' ? active.length - shown.length : 0
      block.paint([
        ...shown.map((item) => barLine(item, width())),
        ...(hidden > 0 ? [`and ${hidden} more`] : []),
        `${task}: ${summaryOf(progress)}`.slice(0, width()),
      ])
    },
    item: ({ item, status, message }) =>
      block.print(`${SIGNS[status]} ${item}${message === undefined ? '' : `: ${message}`}`),
    note: (text) => block.print(`  ${text}`),
    end: ({ state, lines }) => {
      block.settle()
      for (const text of lines) sink.write(`${state === 'done' ? 'warning: ' : ''}${text}\n`)
    },
  }
}

const SIGNS: Readonly<Record<ItemStatus, string>> = { ok: '✓', skipped: '·', changed: '✓', failed: '✗' }

function barLine({ item, bytes, totalBytes }: ItemProgress, width: number): string {
  const amount = totalBytes === null ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`
  const right = `${totalBytes === null ? '' : `${bar(bytes / Math.max(1, totalBytes), 20)} `}${amount}`
  const room = Math.max(8, width - right.length - 1)
  const name = item.length > room ? `…${item.slice(item.length - room + 1)}` : item.padEnd(room)
  return `${name} ${right}`.slice(0, width)
}
