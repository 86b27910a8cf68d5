import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { childPointer, type JsonValue, type Pointer, pointerKeys } from '../load/origin.ts'
import { durationMs, sizeBytes } from '../plan/quantities.ts'
import { dotted } from './check-shape.ts'
import { locate, type Origins } from './locate.ts'
import { schemaAt } from './schema-walk.ts'

/**
 * Characters that mean something to one of the programs that read a path: ComfyUI expands `$VAR` in its path file and
 * takes a newline for a second path, nginx expands variables, SQLite's URL has `?`, `#` and `%`. Controls stand as
 * ranges: for the first `\p{Cc}` of a process V8 loads the tables of Unicode, half a millisecond of each run.
 */
const UNSAFE_IN_PATH = /[\x00-\x1f\x7f-\x9f$`"'\\?#%*{};<>|&]/

/** Linux gives a program 128 KiB in one argument or variable, its name, `=` and NUL included (execve(2), MAX_ARG_STRLEN). */
const MAX_WORD_BYTES = 130_000

/** Node, nginx and s6 keep durations as 32-bit milliseconds; 2^31 of them are a bit more. */
const MAX_DURATION_MS = 576 * 3_600_000

/** Far below where numbers lose whole bytes. */
const MAX_SIZE_BYTES = 1e15

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
    const problem = inexpressible(text) ?? formatProblem(text, pointer)
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
  readonly code: 'UNSAFE_VALUE' | 'PATH_TRAVERSAL' | 'INVALID_VALUE'
  readonly why: string
}

/** NUL ends a string in every process environment and argument; half a surrogate pair has no UTF-8 form. */
function inexpressible(text: string): Problem | null {
  if (text.includes('\0')) return { code: 'UNSAFE_VALUE', why: 'it has a NUL character, which no program can be given' }
  if (!text.isWellFormed()) return { code: 'UNSAFE_VALUE', why: 'it has half a surrogate pair, which is no text' }
  if (text.length * 3 < MAX_WORD_BYTES || Buffer.byteLength(text) <= MAX_WORD_BYTES) return null
  return { code: 'UNSAFE_VALUE', why: `it has more than ${MAX_WORD_BYTES} bytes, which no program can be given` }
}

/** What the schema cannot say of a format. Values of the wrong form have a finding already, and none here. */
function formatProblem(text: string, pointer: Pointer): Problem | null {
  const node = schemaAt(pointerKeys(pointer))
  if (node === null) return null
  if (node['x-machinegen-path'] !== undefined) return pathProblem(text, pointer)
  if (/\/command\/0$/.test(pointer) && text === '') return { code: 'INVALID_VALUE', why: 'it names no program' }
  switch (node.$ref) {
    case '#/$defs/address':
      return addressProblem(text)
    case '#/$defs/duration':
    case '#/$defs/pause':
      return !(durationMs(text) > MAX_DURATION_MS)
        ? null
        : invalid(`a duration is at the most ${MAX_DURATION_MS / 3_600_000}h`)
    case '#/$defs/size':
      return !(sizeBytes(text) > MAX_SIZE_BYTES) ? null : invalid('a size is at the most 1000TB')
    case '#/$defs/urlPath':
      return urlPathProblem(text)
    default:
      return /\/route$/.test(pointer) ? urlPathProblem(text) : null
  }
}

const invalid = (why: string): Problem => ({ code: 'INVALID_VALUE', why })

function addressProblem(text: string): Problem | null {
  const isBracketed = text.startsWith('[') && text.endsWith(']')
  const version = process.getBuiltinModule('node:net').isIP(isBracketed ? text.slice(1, -1) : text)
  if (text === 'localhost' || version === 6 || (version === 4 && !isBracketed)) return null
  return invalid('it is no IP address')
}

/** nginx resolves these before it looks for a route, so that no request would ever match. */
function urlPathProblem(text: string): Problem | null {
  if (text.split('/').includes('..')) return { code: 'PATH_TRAVERSAL', why: 'a path may not have ".." in it' }
  if (text.split('/').includes('.')) return invalid('a path may not have "." between slashes')
  return text.includes('//') ? invalid('a path may not have "//" in it') : null
}

function pathProblem(text: string, pointer: Pointer): Problem | null {
  if (text.split('/').includes('..')) return { code: 'PATH_TRAVERSAL', why: 'a path may not have ".." in it' }
  if (pointer.startsWith('/paths/') && /^\/[/.]*$/.test(text)) return invalid('it is the root of the file system')
  const character = text.match(UNSAFE_IN_PATH)?.[0]
  if (character === undefined) return null
  return { code: 'UNSAFE_VALUE', why: `a path may not have ${JSON.stringify(character)} in it` }
}
