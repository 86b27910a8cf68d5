import { readFileSync } from 'node:fs'
import type { EnvironmentRow } from '../generator/load/environment-row.ts'
import type { SchemaNode } from '../generator/validate/schema-walk.ts'
import { environmentFields, unreadVariables } from './configuration-environment.ts'
import { fieldTable } from './configuration-fields.ts'

const PROSE = readFileSync(new URL('./configuration-prose.md', import.meta.url), 'utf8')

const MARKER =
  '<!-- Made by "npm run generate" from schema/machine.schema.json, generator/load/environment-table.ts and\n' +
  '     build/configuration-prose.md: edit those. -->\n\n'

/**
 * docs/configuration.md: the prose around it, and a table for each section of the format and for the environment.
 * Lines of the prose such as `%fields machine%` are where a table goes. The same input gives the same bytes.
 *
 * @throws Error where the prose names a section that the schema lacks.
 */
export function configurationDoc(schema: SchemaNode, environmentTable: readonly EnvironmentRow[]): string {
  const blocks: Readonly<Record<string, (argument: string) => string>> = {
    fields: (section) => fieldTable(schema, nodeOf(schema, section)),
    shared: (definition) => fieldTable(schema, schema.$defs?.[definition] ?? unknownSection(definition)),
    environment: () => environmentFields(environmentTable),
    unread: unreadVariables,
  }
  const text = PROSE.replaceAll(/^%(\w+)(?: (\S+))?%$/gm, (line, name: string, argument: string | undefined) => {
    const block = blocks[name]
    if (block === undefined) throw new Error(`cannot write the configuration page: it has no block ${line}`)
    return block(argument ?? '')
  })
  return MARKER + text
}

function nodeOf(schema: SchemaNode, section: string): SchemaNode {
  return schema.properties?.[section] ?? unknownSection(section)
}

function unknownSection(section: string): never {
  throw new Error(`cannot write the configuration page: the schema has no "${section}"`)
}
