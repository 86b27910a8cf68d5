/** An environment as data. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A piece of a string: text, a reference to a variable, or something that begins like one. Offsets are into the string. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | Reference
  | { readonly kind: 'malformed'; readonly start: number; readonly end: number; readonly why: string }

export interface Reference {
  readonly kind: 'reference'
  readonly name: string
  readonly start: number
  readonly end: number
  /** Whether an empty value counts as none: `:-` and `:?` say so, `-` and `?` do not. */
  readonly emptyIsUnset: boolean
  /** `${NAME:-fallback}` */
  readonly fallback?: readonly TemplatePart[]
  /** `${NAME:?message}` */
  readonly message?: string
}

export interface TemplateProblem {
  readonly code: 'BAD_INTERPOLATION' | 'VARIABLE_UNSET' | 'VARIABLE_REQUIRED'
  readonly message: string
  readonly hint?: string
  readonly start: number
  readonly end: number
}

/** `problem` is the first of `problems`. */
export type Resolution =
  | { readonly value: string }
  | { readonly problem: TemplateProblem; readonly problems: readonly TemplateProblem[] }

/** Nobody reads deeper nesting, and the parser's own stack stays small. */
const MAX_NESTING = 16

/** In one string. The longest command line of a service has a few dozen. */
const MAX_REFERENCES = 1000

/** Of one string; what is wrong with it is clear by then. */
const MAX_PROBLEMS = 20

/** More than any list of arguments; a few references to a long variable could otherwise fill the memory. */
const MAX_VALUE_LENGTH = 1024 * 1024

interface Cursor {
  readonly text: string
  at: number
  references: number
}

/**
 * Splits a string at its references: `${NAME}`, `${NAME:-fallback}`, `${NAME-fallback}`, `${NAME:?message}`,
 * `${NAME?message}`. A fallback may hold references itself and ends at the first `}` that closes none of them. `$$` is
 * a dollar sign, and so is a `$` before anything but `{`: `$HOME` is plain text.
 */
export function parseTemplate(text: string): TemplatePart[] {
  return parseParts({ text, at: 0, references: 0 }, 0)
}

function parseParts(cursor: Cursor, nesting: number): TemplatePart[] {
  const { text } = cursor
  const parts: TemplatePart[] = []
  let literal = ''
  while (cursor.at < text.length) {
    const next = nextSpecial(text, cursor.at, nesting > 0)
    literal += text.slice(cursor.at, next)
    cursor.at = next
    if (next === text.length || text[next] === '}') break
    if (text[next + 1] === '{') {
      if (literal !== '') parts.push({ kind: 'text', text: literal })
      literal = ''
      parts.push(parseReference(cursor, nesting))
    } else {
      literal += '$'
      cursor.at = next + (text[next + 1] === '$' ? 2 : 1)
    }
  }
  if (literal !== '') parts.push({ kind: 'text', text: literal })
  return parts
}

function nextSpecial(text: string, from: number, isNested: boolean): number {
  const dollar = text.indexOf('$', from)
  const end = dollar === -1 ? text.length : dollar
  if (!isNested) return end
  const brace = text.slice(from, end).indexOf('}')
  return brace === -1 ? end : from + brace
}

function parseReference(cursor: Cursor, nesting: number): TemplatePart {
  const { text, at: start } = cursor
  cursor.references += 1
  if (cursor.references > MAX_REFERENCES) {
    return malformed(cursor, text.length, `more than ${MAX_REFERENCES} references are in one string`)
  }
  const name = /[A-Za-z_][A-Za-z0-9_]*/y
  name.lastIndex = start + 2
  const found = name.exec(text)?.[0]
  if (found === undefined) return malformedName(cursor)
  if (nesting >= MAX_NESTING) return malformed(cursor, text.length, `more than ${MAX_NESTING} fallbacks are nested`)
  const after = start + 2 + found.length
  if (text[after] === '}') {
    cursor.at = after + 1
    return { kind: 'reference', name: found, start, end: cursor.at, emptyIsUnset: false }
  }
  const operator = /:?[-?]/y
  operator.lastIndex = after
  const sign = operator.exec(text)?.[0]
  if (sign === undefined) return malformedOperator(cursor, after)
  cursor.at = after + sign.length
  const contentStart = cursor.at
  const fallback = parseParts(cursor, nesting + 1)
  if (cursor.at >= text.length) return unclosed(cursor, start, fallback)
  const reference = {
    kind: 'reference' as const,
    name: found,
    start,
    end: cursor.at + 1,
    emptyIsUnset: sign[0] === ':',
  }
  const content = text.slice(contentStart, cursor.at)
  cursor.at += 1
  return sign.endsWith('?') ? { ...reference, message: content } : { ...reference, fallback }
}

function malformed(cursor: Cursor, end: number, why: string): TemplatePart {
  const start = cursor.at
  cursor.at = end
  return { kind: 'malformed', start, end, why }
}

function malformedName(cursor: Cursor): TemplatePart {
  const { text, at: start } = cursor
  const close = text.indexOf('}', start)
  if (close === -1) return malformed(cursor, text.length, 'it is never closed with "}"')
  const name = text.slice(start + 2, close)
  return malformed(cursor, close + 1, name === '' ? 'it names no variable' : `"${name}" is not a variable name`)
}

function malformedOperator(cursor: Cursor, after: number): TemplatePart {
  const { text } = cursor
  const close = text.indexOf('}', after)
  if (close === -1) return malformed(cursor, text.length, 'it is never closed with "}"')
  const rest = text.slice(after, close)
  return malformed(cursor, close + 1, `after the name comes "}", ":-", "-", ":?" or "?", not "${rest}"`)
}

/** The innermost of several unclosed references is the one to show. */
function unclosed(cursor: Cursor, start: number, content: readonly TemplatePart[]): TemplatePart {
  const last = content.at(-1)
  if (last?.kind === 'malformed' && last.end === cursor.text.length) return last
  return { kind: 'malformed', start, end: cursor.text.length, why: 'it is never closed with "}"' }
}

/** The syntax errors of a template; it can be resolved only if there are none. */
export function templateErrors(parts: readonly TemplatePart[]): TemplateProblem[] {
  const problems: TemplateProblem[] = []
  for (const part of parts) {
    if (part.kind === 'reference' && part.fallback !== undefined) problems.push(...templateErrors(part.fallback))
    if (part.kind === 'malformed') problems.push(badInterpolation(part.start, part.end, part.why))
    if (problems.length >= MAX_PROBLEMS) break
  }
  return problems
}

function badInterpolation(start: number, end: number, why: string): TemplateProblem {
  const message = `cannot read the "\${...}": ${why}`
  const hint = 'write "${NAME}", "${NAME:-fallback}" or "${NAME:?message}"; "$$" is a dollar sign'
  return { code: 'BAD_INTERPOLATION', message, hint, start, end }
}

/** The variables that a template names, fallbacks included, each once, in order of appearance. */
export function templateVariables(parts: readonly TemplatePart[]): string[] {
  const names = parts.flatMap((part) =>
    part.kind === 'reference' ? [part.name, ...templateVariables(part.fallback ?? [])] : [],
  )
  return [...new Set(names)]
}

/**
 * The string that a template stands for in an environment, or all that is wrong with it. A fallback is looked at only
 * where it is needed. Values are taken as they are: a `$` in one is not looked at again.
 */
export function resolveTemplate(parts: readonly TemplatePart[], environment: Environment): Resolution {
  const problems = templateErrors(parts)
  const value = problems.length > 0 ? '' : resolveParts(parts, environment, problems)
  const [problem] = problems
  return problem === undefined ? { value } : { problem, problems }
}

function resolveParts(parts: readonly TemplatePart[], environment: Environment, problems: TemplateProblem[]): string {
  let value = ''
  for (const part of parts) {
    if (part.kind === 'text') value += part.text
    if (part.kind === 'reference') value += resolveReference(part, environment, problems)
    if (problems.length >= MAX_PROBLEMS) break
    if (part.kind === 'reference' && value.length > MAX_VALUE_LENGTH) {
      const why = `the value becomes longer than ${MAX_VALUE_LENGTH} characters`
      problems.push(badInterpolation(part.start, part.end, why))
      break
    }
  }
  return value
}

function resolveReference(reference: Reference, environment: Environment, problems: TemplateProblem[]): string {
  const { name, start, end, message } = reference
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  if (value !== undefined && !(reference.emptyIsUnset && value === '')) return value
  if (reference.fallback !== undefined) return resolveParts(reference.fallback, environment, problems)
  const state = value === '' ? 'empty' : 'not set'
  if (message !== undefined) {
    const why = message === '' ? `the variable is ${state}` : message
    const hint = `the variable "${name}" is ${state}`
    problems.push({ code: 'VARIABLE_REQUIRED', message: `cannot resolve "\${${name}}": ${why}`, hint, start, end })
  } else {
    const hint = `set ${name}, or write "\${${name}:-}" where an empty value will do`
    const why = 'the variable is not set'
    problems.push({ code: 'VARIABLE_UNSET', message: `cannot resolve "\${${name}}": ${why}`, hint, start, end })
  }
  return ''
}
