/** What a field must be: a type, one of some texts, or whatever a function accepts. */
export type FieldRule =
  | 'string'
  | 'number'
  | 'boolean'
  | 'text or null'
  | 'iso time'
  | 'ms'
  | 'strings'
  | 'object'
  | RegExp
  | readonly (string | number | boolean | null)[]
  | { readonly of: FieldTable }
  | { readonly each: FieldTable }

/** Every field of a message, by its name. */
export interface FieldTable {
  readonly [field: string]: FieldRule
}

/** What of a message is not as its table says: fields that lack, are too many, or of another kind. */
export function fieldFlaws(message: unknown, table: FieldTable, where = ''): string[] {
  if (!isObject(message)) return [`${where || 'it'} is no object`]
  const surplus = Object.keys(message).filter((field) => !(field in table))
  return [
    ...surplus.map((field) => `${where}${field} is in no table`),
    ...Object.entries(table).flatMap(([field, rule]) => flawsOf(message[field], rule, `${where}${field}`)),
  ]
}

function flawsOf(value: unknown, rule: FieldRule, name: string): string[] {
  if (value === undefined) return [`${name} lacks`]
  const flaw = [`${name} is ${JSON.stringify(value)}`]
  if (Array.isArray(rule)) return rule.includes(value as string) ? [] : flaw
  if (rule instanceof RegExp) return typeof value === 'string' && rule.test(value) ? [] : flaw
  if (typeof rule === 'object' && 'of' in rule) return fieldFlaws(value, rule.of, `${name}.`)
  if (typeof rule === 'object' && 'each' in rule) {
    if (typeof value !== 'object' || value === null) return flaw
    return Object.entries(value).flatMap(([key, item]) => fieldFlaws(item, rule.each, `${name}.${key}.`))
  }
  return KINDS[rule as keyof typeof KINDS](value) ? [] : flaw
}

const SEPTEMBER_2001_MS = 1e12

const KINDS = {
  string: (value: unknown) => typeof value === 'string' && value !== '',
  number: (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0,
  boolean: (value: unknown) => typeof value === 'boolean',
  'text or null': (value: unknown) => value === null || (typeof value === 'string' && value !== ''),
  'iso time': (value: unknown) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value),
  ms: (value: unknown) => typeof value === 'number' && value > SEPTEMBER_2001_MS,
  object: isObject,
  strings: (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
