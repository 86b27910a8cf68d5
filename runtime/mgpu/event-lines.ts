import type { MachineEvent } from '../shared/machine-event.ts'
import { printable } from './console.ts'
import { formatBytes, formatDuration } from './format.ts'
import { localTime } from './log-lines.ts'
import { type Color, paint } from './table.ts'

/** `12:03:04.123 service.failed comfyui-gpu0 waiting: it ended: signal SIGKILL`. */
export function formatEvent(event: MachineEvent, isColored: boolean): string {
  const { at, type, service, worker, status, error } = event
  const subject = service ?? worker ?? ''
  const words = [status, describeProgress(event), error?.message, describeContext(event)].filter(
    (word): word is string => word !== undefined && word !== '',
  )
  const parts = [
    paint(`${at.slice(0, 10)} ${localTime(at)}`, 'grey', isColored),
    paint(type, colorOf(event), isColored),
    subject,
    printable(words.join(': ')).replaceAll('\n', ' '),
  ]
  return parts.filter((part) => part !== '').join(' ')
}

const BAD: ReadonlySet<string> = new Set([
  'machine.degraded',
  'service.failed',
  'service.gave-up',
  'service.unready',
  'provision.failed',
  'events.lost',
])
const GOOD: ReadonlySet<string> = new Set(['machine.ready', 'service.ready', 'provision.done'])

function colorOf({ type, error, status }: MachineEvent): Color | undefined {
  if (BAD.has(type) || error !== undefined || status === 'raised') return 'red'
  if (GOOD.has(type)) return 'green'
  return type === 'operator.action' ? 'cyan' : undefined
}

function describeProgress({ progress }: MachineEvent): string {
  if (progress === undefined) return ''
  const { item, bytes, totalBytes, done, total, etaSeconds } = progress
  const size = bytes === undefined ? '' : formatBytes(bytes)
  const amount = totalBytes === undefined || size === '' ? size : `${size} of ${formatBytes(totalBytes)}`
  const steps = total === undefined || total === 0 ? '' : `${done ?? 0} of ${total}`
  const eta = etaSeconds === undefined ? '' : `${formatDuration(etaSeconds * 1000)} left`
  return [item, amount, steps, eta].filter((part) => part !== undefined && part !== '').join(', ')
}

/** Of the facts those that people look for. */
function describeContext({ type, context = {} }: MachineEvent): string {
  if (type === 'operator.action') {
    const { operator, name, reason } = context
    return `by ${operator}${name === undefined ? '' : ` (${name})`}${reason ? `: ${reason}` : ''}`
  }
  const { reason, alarm } = context
  return [alarm, reason].filter((fact): fact is string => typeof fact === 'string').join(': ')
}
