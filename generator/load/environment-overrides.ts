import type { Environment } from '../../schema/interpolation.ts'
import { type Diagnostic, type Location, TEXT_START } from '../diagnostics/diagnostic.ts'
import { type EnvironmentRow, readRow, type Statement } from './environment-row.ts'
import { ENVIRONMENT_TABLE } from './environment-table.ts'
import type { Override } from './load-machine.ts'
import type { Pointer } from './origin.ts'

/** An override that leaves alone a machine without the part it is about: `OLLAMA_PORT` alone starts no Ollama. */
export interface EnvironmentOverride extends Override {
  readonly within?: Pointer
}

export interface EnvironmentOverrides {
  readonly overrides: EnvironmentOverride[]
  readonly diagnostics: Diagnostic[]
  /** The texts of the variables that take part, by the file names of their locations: `$NUM_GPUS`. */
  readonly texts: Map<string, string>
}

/**
 * What the environment variables of the original machines say about a machine: `NUM_GPUS`, `ENABLE_OLLAMA`, ... Values
 * are trimmed, and an empty one counts as unset. What cannot be read is an error `BAD_ENVIRONMENT_VALUE`; of variables
 * that contradict each other one wins, and a warning of the same code tells. Pure: other variables are not looked at.
 */
export function environmentOverrides(environment: Environment): EnvironmentOverrides {
  const texts = new Map<string, string>()
  const overrides: EnvironmentOverride[] = []
  const diagnostics: Diagnostic[] = []
  const place = (variable: string): Location => {
    const content = environment[variable] ?? ''
    texts.set(`$${variable}`, content)
    return locationOf(variable, content)
  }
  for (const row of ENVIRONMENT_TABLE) {
    const { decision, problems, warnings } = readRow(row, environment)
    for (const { variable, remark } of problems) {
      diagnostics.push(badValue(variable, shown(environment, variable), remark, place(variable)))
    }
    diagnostics.push(...warnings.map(({ variable, remark }) => adjusted(variable, remark, place(variable))))
    if (decision === null) continue
    const { value, by, ignored } = decision
    diagnostics.push(...ignored.map((loser) => contradiction(environment, loser, by, place)))
    overrides.push(overrideOf(row, value, by, place(by.variable)))
  }
  return { overrides, diagnostics, texts }
}

/** The whole text of a variable; blanks at its end are no part of it. */
function locationOf(variable: string, content: string): Location {
  const value = content.trimEnd()
  const lines = value.split('\n')
  const end = { line: lines.length, column: (lines.at(-1) ?? '').length + 1, offset: value.length }
  return { file: `$${variable}`, range: { start: TEXT_START.start, end } }
}

function overrideOf(
  { pointer, within, isSwitch }: EnvironmentRow,
  value: Override['value'],
  { variable }: Statement,
  location: Location,
): EnvironmentOverride {
  const override = { pointer, value, variable, location }
  const needed = isSwitch && value === false ? pointer.slice(0, pointer.lastIndexOf('/')) : within
  return needed === undefined ? override : { ...override, within: needed }
}

/** As much of a value as a message has room for. */
const SHOWN_LENGTH = 60

function shown(environment: Environment, variable: string): string {
  const value = JSON.stringify(environment[variable]?.trim() ?? '')
  return value.length > SHOWN_LENGTH ? `${value.slice(0, SHOWN_LENGTH - 3)}...` : value
}

function badValue(variable: string, value: string, problem: string, location: Location): Diagnostic {
  const message = `cannot use ${value} for variable "${variable}": ${problem}`
  return { code: 'BAD_ENVIRONMENT_VALUE', severity: 'error', message, ...location }
}

function contradiction(
  environment: Environment,
  loser: Statement,
  winner: Statement,
  place: (variable: string) => Location,
): Diagnostic {
  const values = { lost: shown(environment, loser.variable), won: shown(environment, winner.variable) }
  return {
    code: 'BAD_ENVIRONMENT_VALUE',
    severity: 'warning',
    message: `cannot use ${values.lost} for variable "${loser.variable}": "${winner.variable}" has ${values.won} and wins`,
    hint: `unset ${loser.variable} or ${winner.variable}`,
    related: [{ message: `"${winner.variable}" decides`, ...place(winner.variable) }],
    ...place(loser.variable),
  }
}

function adjusted(variable: string, warning: string, location: Location): Diagnostic {
  const message = `cannot follow variable "${variable}" to the letter: ${warning}`
  return { code: 'BAD_ENVIRONMENT_VALUE', severity: 'warning', message, ...location }
}
