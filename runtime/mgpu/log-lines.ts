import type { LogLevel } from '../shared/logs/log-level.ts'
import type { LogLine } from '../shared/logs/log-store.ts'
import { type Color, paint } from './table.ts'

const LABEL_COLORS: readonly Color[] = ['cyan', 'magenta', 'blue', 'green', 'yellow']

/** A colour for each name; neighbours have different ones. */
export function labelColors(names: readonly string[]): ReadonlyMap<string, Color> {
  return new Map(names.map((name, index) => [name, LABEL_COLORS[index % LABEL_COLORS.length]!]))
}

const LEVEL_COLORS: Partial<Record<LogLevel, Color>> = { error: 'red', warn: 'yellow', debug: 'grey' }

/** `12:03:04.123 comfyui-gpu0 got prompt`, in local time; the further lines of a traceback are set in. */
export function formatLogLine(
  { timestamp, level, message }: LogLine,
  label: string | null,
  isColored: boolean,
): string {
  const time = paint(localTime(timestamp), 'grey', isColored)
  const lines = message.split('\n')
  const text = lines.map((line) => paint(line, LEVEL_COLORS[level], isColored)).join('\n    ')
  return label === null ? `${time} ${text}` : `${time} ${label} ${text}`
}

/** The time of day of an ISO time, to the millisecond, where this is read. */
export function localTime(timestamp: string): string {
  const date = new Date(timestamp)
  const two = (value: number) => String(value).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}
