import type { EnvironmentRow, VariableSpelling } from '../generator/load/environment-row.ts'
import { pointerKeys } from '../generator/load/origin.ts'
import { code, table } from './markdown.ts'
import { UNREAD_VARIABLES } from './unread-variables.ts'

/** The variables that change a machine, a row for each field. */
export function environmentFields(rows: readonly EnvironmentRow[]): string {
  return table(
    ['Field', 'Variables, the first wins', 'Value', 'Meaning', 'Example'],
    rows.map((row) => [
      code(dotted(row.pointer)),
      row.variables.map(spelling).join('<br>'),
      row.reader.accepts,
      row.description + condition(row),
      code(row.example),
    ]),
  )
}

const dotted = (pointer: string): string => pointerKeys(pointer).join('.')

function spelling({ name, machines, reader, note }: VariableSpelling): string {
  const readers = machines.length === 0 ? '' : ` (${machines.join(', ')})`
  const accepts = reader === undefined || note !== undefined ? '' : `: ${reader.accepts}`
  return `${code(name)}${readers}${accepts}${note === undefined ? '' : `: ${note}`}`
}

function condition({ within, isSwitch }: EnvironmentRow): string {
  if (isSwitch) return ' Yes adds the service, with its defaults, where the file lacks it.'
  return within === undefined ? '' : ` Only where the machine has ${code(dotted(within))}.`
}

/** The variables of the originals that change nothing. */
export function unreadVariables(): string {
  return table(
    ['Variables', 'Instead'],
    UNREAD_VARIABLES.map(({ names, instead }) => [names, instead]),
  )
}
