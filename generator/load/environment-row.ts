import type { Environment } from '../../schema/interpolation.ts'
import type { JsonValue, Pointer } from './origin.ts'

/** What a variable says about a field; `null`: nothing, it is about another one. */
export type Reading = Said | { readonly problems: readonly string[] } | null

export interface Said {
  readonly value: JsonValue
  /** It follows from what the variable says of something else: no variable contradicts it. */
  readonly isImplied?: true
  /** The value is not quite what was asked for. */
  readonly warnings?: readonly string[]
}

/** Reads the trimmed text of a variable, which is never empty. */
export interface Reader {
  /** What it accepts, as it follows "it must be". */
  readonly accepts: string
  readonly read: (text: string, environment: Environment) => Reading
}

/** A machine of old that read a variable: `base_machine` (B), `basic_machine` of July (K) and October 2025 (H). */
export type OriginalMachine = 'B' | 'K' | 'H'

/** One of the names under which the original machines knew a field. */
export interface VariableSpelling {
  readonly name: string
  /** Which of them read it; none: it was passed around and read by nobody. */
  readonly machines: readonly OriginalMachine[]
  /** Where it is written differently from the others of its row. */
  readonly reader?: Reader
  readonly note?: string
}

/** A field of the machine file, and the environment variables that decide it. */
export interface EnvironmentRow {
  readonly pointer: Pointer
  /** In order of precedence. */
  readonly variables: readonly VariableSpelling[]
  readonly reader: Reader
  readonly description: string
  readonly example: string
  /** A machine without this part is not given one by the variable. */
  readonly within?: Pointer
  /** `true` adds the service where the machine file lacks it; `false` does nothing there. */
  readonly isSwitch?: true
  /** Which of several variables decides, and how. Default: the first. */
  readonly combine?: Combine
}

export interface Statement extends Said {
  readonly variable: string
}

export interface Decision {
  readonly value: JsonValue
  readonly by: Statement
  /** Statements that lose although they say something else. */
  readonly ignored: readonly Statement[]
}

export type Combine = (statements: readonly [Statement, ...Statement[]]) => Decision

/** What the variables of a row say, in their order, and what is wrong with them. */
export interface RowReading {
  readonly decision: Decision | null
  readonly problems: readonly Remark[]
  readonly warnings: readonly Remark[]
}

export interface Remark {
  readonly variable: string
  readonly remark: string
}

/** The text of a variable without blanks around it; `null` where there is nothing else. */
export function textOf(environment: Environment, variable: string): string | null {
  const value = Object.hasOwn(environment, variable) ? environment[variable] : undefined
  const text = value?.trim()
  return text === undefined || text === '' ? null : text
}

/** Reads a row from an environment. */
export function readRow(row: EnvironmentRow, environment: Environment): RowReading {
  const statements: Statement[] = []
  const problems: Remark[] = []
  for (const { name, reader = row.reader } of row.variables) {
    const text = textOf(environment, name)
    const reading = text === null ? null : reader.read(text, environment)
    if (reading === null) continue
    if ('value' in reading) statements.push({ variable: name, ...reading })
    else problems.push(...reading.problems.map((remark) => ({ variable: name, remark })))
  }
  const warnings = statements.flatMap(({ variable, warnings = [] }) => warnings.map((remark) => ({ variable, remark })))
  const [first, ...others] = statements
  const combine = row.combine ?? firstWins
  return { decision: first === undefined ? null : combine([first, ...others]), problems, warnings }
}

/** The first statement decides. */
export const firstWins: Combine = (statements) => decided(statements[0], statements)

/** One that says yes is enough. */
export const anyWins: Combine = (statements) =>
  decided(statements.find((statement) => statement.value === true) ?? statements[0], statements)

function decided(by: Statement, statements: readonly Statement[]): Decision {
  const ignored = statements.filter((statement) => statement.isImplied !== true && !sameValue(statement, by))
  return { value: by.value, by, ignored }
}

function sameValue(a: Statement, b: Statement): boolean {
  return JSON.stringify(a.value) === JSON.stringify(b.value)
}
