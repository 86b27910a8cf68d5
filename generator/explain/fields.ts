import type { PlannedService } from '../../schema/plan.ts'
import { formatDuration } from '../plan/quantities.ts'

export interface Field {
  readonly field: string
  readonly value: string
}

/** They say who it is; the title does that. */
const TITLE_FIELDS = new Set(['name', 'type', 'key', 'gpu', 'kind'])

/** What a person asks for first. */
const FIRST_FIELDS = ['port', 'listen', 'address', 'command', 'workingDirectory']

/** The fields of a planned service that are set, dotted, as text; durations with a unit. */
export function serviceFields(service: PlannedService): Field[] {
  const fields = flatten('', service).filter(({ field }) => !TITLE_FIELDS.has(field))
  const rank = ({ field }: Field) => (FIRST_FIELDS.indexOf(field) + FIRST_FIELDS.length) % FIRST_FIELDS.length
  const isFirst = ({ field }: Field) => FIRST_FIELDS.includes(field)
  return [...fields.filter(isFirst).sort((a, b) => rank(a) - rank(b)), ...fields.filter((field) => !isFirst(field))]
}

function flatten(field: string, value: unknown): Field[] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value.length === 0 ? [] : [{ field, value: value.map(word).join(' ') }]
  if (typeof value === 'object') {
    return Object.entries(value).flatMap(([key, child]) => flatten(field === '' ? key : `${field}.${key}`, child))
  }
  if (typeof value === 'number' && field.endsWith('Ms')) return [{ field, value: formatDuration(value) }]
  if (field.startsWith('secretEnvironment.')) return [{ field, value: `the secret "${value}"` }]
  return [{ field, value: value === '' ? '""' : String(value) }]
}

/** A word with a blank or a quote in it is quoted: where one ends matters. */
function word(value: unknown): string {
  const text = String(value)
  return /^[^\s"']+$/.test(text) ? text : JSON.stringify(text)
}
