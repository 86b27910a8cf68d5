/**
 * Makes what is derived from the schema and the templates: types (committed: schema/machine.ts), and what the compiler
 * loads at run time without compiling anything (not committed: generator/generated/).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { generateDerived } from './derived.ts'

mkdirSync('generator/generated', { recursive: true })
for (const { path, content } of await generateDerived()) {
  if (readIfThere(path) !== content) writeFileSync(path, content)
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
