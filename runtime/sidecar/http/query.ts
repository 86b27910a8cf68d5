import { nearest } from '../../../schema/nearest.ts'
import { quoted, Refusal } from './refusal.ts'

/** How one parameter of a query is read. */
export interface Parameter<T> {
  /** The value; `undefined` for a text that is none. */
  readonly read: (text: string) => T | undefined
  /** What it is when it is not given. */
  readonly fallback: T
  /** What is allowed, in words. */
  readonly accepts: string
}

export type QuerySpec = Readonly<Record<string, Parameter<unknown>>>

export type QueryValues<S extends QuerySpec> = {
  readonly [name in keyof S]: S[name] extends Parameter<infer T> ? T : never
}

/** Whole numbers within bounds. */
export function integer<F extends number | null>(
  { min, max }: { readonly min: number; readonly max: number },
  fallback: F,
): Parameter<number | F> {
  return {
    read: (text) => {
      const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
      return value >= min && value <= max ? value : undefined
    },
    fallback,
    accepts: `a whole number from ${min} to ${max}`,
  }
}

/** One of these words. */
export function oneOf<W extends string, F extends W | null>(words: readonly W[], fallback: F): Parameter<W | F> {
  return {
    read: (text) => words.find((word) => word === text),
    fallback,
    accepts: words.map((word) => `"${word}"`).join(' or '),
  }
}

/** Text that is not empty. */
export function text(maxLength: number): Parameter<string | null> {
  return {
    read: (value) => (value !== '' && value.length <= maxLength ? value : undefined),
    fallback: null,
    accepts: `a text of 1 to ${maxLength} characters`,
  }
}

const FLAGS = new Map([
  ['', true],
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
])

/** `1`, `true` or nothing for yes, `0` or `false` for no. */
export const flag: Parameter<boolean> = {
  read: (value) => FLAGS.get(value),
  fallback: false,
  accepts: '"1" or "0"',
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** The moment of an ISO 8601 time, or so long ago: `2026-07-01T12:00:00Z`, `15m`. Gives ms since 1970. */
export function moment(nowMs: () => number): Parameter<number | null> {
  return {
    read: (value) => {
      const ago = /^([0-9]{1,9})(ms|s|m|h|d)$/.exec(value)
      if (ago !== null) return nowMs() - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS]
      const atMs = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+))?$/.test(value)
        ? Date.parse(value)
        : Number.NaN
      return Number.isNaN(atMs) ? undefined : atMs
    },
    fallback: null,
    accepts: 'an ISO 8601 time with its zone ("2026-07-01T12:00:00Z"), or how long ago ("15m")',
  }
}

/**
 * The values of a query.
 *
 * @throws Refusal for a parameter that there is none of, that stands twice, or whose value is not allowed.
 */
export function readQuery<S extends QuerySpec>(query: string, spec: S): QueryValues<S> {
  const values: Record<string, unknown> = {}
  for (const name in spec) values[name] = spec[name]!.fallback
  if (query === '') return values as QueryValues<S>
  const given = new Set<string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!Object.hasOwn(spec, name)) throw unknownParameter(name, Object.keys(spec))
    if (given.has(name)) throw new Refusal(400, 'BAD_PARAMETER', `cannot use "${name}" twice`)
    given.add(name)
    const read = spec[name]!.read(value)
    if (read === undefined) {
      const message = `cannot use ${quoted(value)} as "${name}": it must be ${spec[name]!.accepts}`
      throw new Refusal(400, 'BAD_PARAMETER', message)
    }
    values[name] = read
  }
  return values as QueryValues<S>
}

function unknownParameter(name: string, known: readonly string[]): Refusal {
  const meant = nearest(name, known)
  const hint =
    meant !== undefined
      ? `; did you mean "${meant}"?`
      : known.length === 0
        ? ': this route takes none'
        : `: there are ${known.map((each) => `"${each}"`).join(', ')}`
  return new Refusal(400, 'BAD_PARAMETER', `cannot use parameter ${quoted(name)}${hint}`)
}
