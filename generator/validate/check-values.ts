import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { childPointer, type JsonValue, type Pointer, pointerKeys } from '../load/origin.ts'
import { dotted } from './check-shape.ts'
import { locate, type Origins } from './locate.ts'
import { schemaAt } from './schema-walk.ts'

/**
 * Characters that mean something to one of the programs that read a path: ComfyUI expands `$VAR` in its path file and
 * takes a newline for a second path, nginx expands variables, SQLite's URL has `?`, `#` and `%`.
 */
const UNSAFE_IN_PATH = /[\p{Cc}$`"'\\?#%*{};<>|&]/u

/**
 * Checks of every value by itself: what no target language can express, and paths that leave their place. `unresolved`
 * values have a finding already.
 */
export function checkValues(document: JsonValue, origins: Origins, unresolved: ReadonlySet<Pointer>): Diagnostic[] {
  const diagnostics: Diagnostic[] = []
  visit(document, '')
  return diagnostics

  function visit(value: JsonValue, pointer: Pointer): void {
    if (unresolved.has(pointer)) return
    if (typeof value === 'string') checkText(value, pointer)
    else if (Array.isArray(value)) value.forEach((item, index) => void visit(item, childPointer(pointer, index)))
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) visit(item, childPointer(pointer, key))
    }
  }

  function checkText(text: string, pointer: Pointer): void {
    const problem = inexpressible(text) ?? pathProblem(text, pointer)
    if (problem === null) return
    diagnostics.push({
      code: problem.code,
      severity: 'error',
      message: `cannot use the value of "${dotted(pointer)}": ${problem.why}`,
      ...locate(origins, pointer),
    })
  }
}

interface Problem {
  readonly code: 'UNSAFE_VALUE' | 'PATH_TRAVERSAL'
  readonly why: string
}

/** NUL ends a string in every process environment and argument; half a surrogate pair has no UTF-8 form. */
function inexpressible(text: string): Problem | null {
  if (text.includes('\0')) return { code: 'UNSAFE_VALUE', why: 'it has a NUL character, which no program can be given' }
  return text.isWellFormed() ? null : { code: 'UNSAFE_VALUE', why: 'it has half a surrogate pair, which is no text' }
}

function pathProblem(text: string, pointer: Pointer): Problem | null {
  if (schemaAt(pointerKeys(pointer))?.['x-machinegen-path'] === undefined) return null
  if (text.split('/').includes('..')) return { code: 'PATH_TRAVERSAL', why: 'a path may not have ".." in it' }
  const character = text.match(UNSAFE_IN_PATH)?.[0]
  if (character === undefined) return null
  return { code: 'UNSAFE_VALUE', why: `a path may not have ${JSON.stringify(character)} in it` }
}
