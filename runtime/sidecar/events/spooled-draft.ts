import { EVENT_TYPES, type EventDraft, type EventProgress, type EventType } from '../../shared/machine-event.ts'

/** What other programs may say; the rest is the sidecar's own to say. */
const SPOOLED_SUBJECTS = new Set(['provision', 'operator', 'machine'])
const OWN = new Set<EventType>([
  'machine.started',
  'machine.ready',
  'machine.degraded',
  'machine.stopping',
  'machine.stopped',
])

const PROGRESS_NUMBERS = ['bytes', 'totalBytes', 'bytesPerSecond', 'etaSeconds', 'done', 'total'] as const

/** The event in a spooled file, or why it is none. Fields that events do not have are left out. */
export function readSpooledDraft(text: string): EventDraft | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'it is not JSON'
  }
  if (!isObject(value)) return 'it is not a JSON object'
  const { type, at } = value
  if (!isEventType(type)) return `it has the type ${JSON.stringify(type)?.slice(0, 80)}, which does not exist`
  if (!SPOOLED_SUBJECTS.has(type.split('.', 1)[0]!) || OWN.has(type)) return `only the sidecar says "${type}"`
  if (typeof at !== 'string' || !ISO_TIME.test(at)) return 'it has no time'
  const draft = {
    type,
    at,
    ...texts(value),
    ...gpuOf(value),
    ...progressOf(value),
    ...errorOf(value),
    ...contextOf(value),
  }
  const missing = findMissing(draft)
  return missing === null ? draft : `its type needs "${missing}"`
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function findMissing({ type, progress, error, status, context }: EventDraft): string | null {
  if (type === 'provision.progress' && progress === undefined) return 'progress'
  if (type === 'provision.failed' && error === undefined) return 'error'
  if (type !== 'machine.alarm') return null
  if (status !== 'raised' && status !== 'cleared') return 'status'
  return typeof context?.alarm === 'string' ? null : 'context.alarm'
}

type Fields = Readonly<Record<string, unknown>>

function texts(value: Fields): Partial<Pick<EventDraft, 'service' | 'worker' | 'status'>> {
  const named = ['service', 'worker', 'status'].filter((name) => typeof value[name] === 'string' && value[name] !== '')
  return Object.fromEntries(named.map((name) => [name, value[name]]))
}

function gpuOf({ gpu }: Fields): Pick<EventDraft, 'gpu'> {
  return Number.isInteger(gpu) && (gpu as number) >= 0 ? { gpu: gpu as number } : {}
}

function progressOf({ progress }: Fields): Pick<EventDraft, 'progress'> {
  if (!isObject(progress)) return {}
  const { item } = progress
  const numbers = PROGRESS_NUMBERS.filter((name) => Number.isFinite(progress[name]) && (progress[name] as number) >= 0)
  const known: EventProgress = Object.fromEntries(numbers.map((name) => [name, progress[name]]))
  return { progress: typeof item === 'string' ? { item, ...known } : known }
}

function errorOf({ error }: Fields): Pick<EventDraft, 'error'> {
  if (!isObject(error) || typeof error.message !== 'string') return {}
  const { message, code } = error
  return { error: typeof code === 'string' ? { code, message } : { message } }
}

function contextOf({ context }: Fields): Pick<EventDraft, 'context'> {
  return isObject(context) ? { context } : {}
}

function isEventType(value: unknown): value is EventType {
  return (EVENT_TYPES as readonly unknown[]).includes(value)
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
