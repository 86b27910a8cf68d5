import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { machineSchema } from '../../validate/schema-walk.ts'
import { EXIT, failure } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { STARTERS } from '../starters.ts'

/** Beside the machine file, where its first line looks for it. */
const SCHEMA_FILE = 'machine.schema.json'

/** `init`: a machine file to start from, and the schema for the editor. */
export function run({ words, values }: Invocation<'init'>, host: Host): number {
  const file = machineFile(words[0] ?? '.')
  const schemaFile = join(dirname(file), SCHEMA_FILE)
  mkdirSync(dirname(file), { recursive: true })
  writeNew(file, `# yaml-language-server: $schema=./${SCHEMA_FILE}\n${STARTERS[values.example]}`, values.force)
  // Made from the compiler alone: replacing it loses nothing.
  writeFileSync(schemaFile, `${JSON.stringify(machineSchema(), null, 2)}\n`)
  host.print(`${file}\n${schemaFile}\n`)
  if (!values.quiet) host.say(`next: machinegen validate ${file}\n`)
  return EXIT.done
}

function machineFile(path: string): string {
  if (/\.ya?ml$/.test(path) && !statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path
  return join(path, 'machine.yaml')
}

function writeNew(file: string, content: string, isForced: boolean): void {
  try {
    writeFileSync(file, content, { flag: isForced ? 'w' : 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw failure(EXIT.findings, `cannot write "${file}": it is there already`, 'replace it with --force')
  }
}
