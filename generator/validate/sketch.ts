import type { Machine } from '../../schema/machine.ts'
import validateMachine, { type SchemaError } from '../generated/validate-machine.js'
import { childPointer, type JsonObject, type JsonValue, type Pointer, pointerKeys } from '../load/origin.ts'
import type { Finding } from '../services/service-type.ts'
import type { Origins } from './locate.ts'
import { describedAt } from './schema-walk.ts'

/** A machine of the right shape, made of one that is not: good for finding more mistakes, and for nothing else. */
export interface Sketch {
  readonly settings: Machine
  /** Where it differs from the document: what is there is a default, or an example. */
  readonly guessed: readonly Pointer[]
}

/** Taking a value away can uncover that it was required; more rounds than this means that little is left. */
const MAX_ROUNDS = 4
const MAX_ERRORS = 100

/** Leaves out of a document what has the wrong shape; `null` where too much is wrong to say anything about the rest. */
export function sketchOf(document: JsonObject, unresolved: ReadonlySet<Pointer>): Sketch | null {
  const draft = structuredClone(document)
  const guessed = new Set<Pointer>(unresolved)
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const settings = structuredClone(draft)
    if (validateMachine(settings)) return { settings: settings as unknown as Machine, guessed: [...guessed] }
    const errors = validateMachine.errors ?? []
    if (errors.length > MAX_ERRORS) return null
    for (const error of errors) {
      const at = amend(draft, error)
      if (at === null) return null
      guessed.add(at)
    }
  }
  return null
}

/** Takes away what an error is about, or puts an example where something is missing; gives the place. */
function amend(draft: JsonObject, { keyword, instancePath, params }: SchemaError): Pointer | null {
  if (keyword === 'required') {
    const pointer = childPointer(instancePath, String(params.missingProperty))
    const example = describedAt(pointerKeys(pointer))?.examples?.[0]
    const parent = valueAt(draft, pointerKeys(instancePath))
    if (instancePath === '' || example === undefined || !isMap(parent)) return null
    parent[String(params.missingProperty)] = structuredClone(example) as JsonValue
    return pointer
  }
  const key = params.additionalProperty ?? (keyword === 'propertyNames' ? params.propertyName : undefined)
  return remove(draft, key === undefined ? instancePath : childPointer(instancePath, String(key)))
}

/** Removes a value; an item takes its list with it, or the others would be found in the wrong places. */
function remove(draft: JsonObject, pointer: Pointer): Pointer | null {
  const keys = pointerKeys(pointer)
  let parent: JsonObject = draft
  for (const [index, key] of keys.entries()) {
    const value = Object.hasOwn(parent, key) ? parent[key] : undefined
    if (index < keys.length - 1 && isMap(value)) parent = value
    else {
      delete parent[key]
      return keys.slice(0, index + 1).reduce(childPointer, '')
    }
  }
  return null
}

function valueAt(document: JsonValue, keys: readonly string[]): JsonValue | undefined {
  return keys.reduce<JsonValue | undefined>((value, key) => (isMap(value) ? value[key] : undefined), document)
}

const isMap = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Codes that depend on all services, or on the number of GPUs. */
const ABOUT_OTHERS = new Set(['UNKNOWN_DEPENDENCY', 'DEPENDENCY_DISABLED'])

/**
 * Whether a finding about a sketch holds for the document too: nothing that it is about was guessed, and it does not
 * rest on a default where the document may have meant something else.
 */
export function holdsFor({ guessed }: Sketch, finding: Finding, origins: Origins): boolean {
  if (guessed.some((pointer) => pointer.startsWith('/machine/gpu'))) return false
  if (ABOUT_OTHERS.has(finding.code) && guessed.some((pointer) => pointer.startsWith('/services/'))) return false
  return [finding, ...(finding.related ?? [])].every(({ pointer }) =>
    guessed.every((guess) => {
      if (overlap(guess, pointer)) return false
      return origins.has(pointer) || sectionOf(guess) !== sectionOf(pointer)
    }),
  )
}

const overlap = (a: Pointer, b: Pointer): boolean => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)

/** The service that a place belongs to, or the section. */
const sectionOf = (pointer: Pointer): string =>
  pointerKeys(pointer)
    .slice(0, pointer.startsWith('/services/') ? 2 : 1)
    .join('/')
