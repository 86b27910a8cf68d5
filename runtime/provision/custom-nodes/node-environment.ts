import { createHash } from 'node:crypto'
import { readFileSync, renameSync } from 'node:fs'
import { type Environment, parseTemplate, resolveTemplate, type TemplatePart } from '../../../schema/interpolation.ts'
import type { PlannedNode } from '../../../schema/plan.ts'
import { type FileOwner, writeFileAtomically } from '../../shared/atomic-file.ts'
import { formatDotenv } from '../dotenv.ts'

export interface NodeEnvironment {
  readonly values: Readonly<Record<string, string>>
  /** Variables of the machine that are not set: their values are empty, as they were on the original machines. */
  readonly missing: readonly string[]
}

/** The variables of a node, filled in from the environment. Nothing is evaluated. Throws where one cannot be. */
export function resolveNodeEnvironment(
  { environment: templates, secretEnvironment }: Pick<PlannedNode, 'environment' | 'secretEnvironment'>,
  environment: Environment,
  secret: (name: string) => string | null,
): NodeEnvironment {
  const values: Record<string, string> = {}
  const missing = new Set<string>()
  for (const [name, template] of Object.entries(templates)) {
    const parts = parseTemplate(template)
    const filled = fillIn(parts, environment, missing)
    const resolution = resolveTemplate(parts, filled)
    if (!('value' in resolution)) throw new Error(`cannot fill in "${name}" of its env: ${resolution.problem.message}`)
    values[name] = resolution.value
  }
  for (const [name, source] of Object.entries(secretEnvironment)) values[name] = secret(source) ?? ''
  return { values, missing: [...missing] }
}

/** An environment that has all that the template needs: from a mounted file where one is named, else empty. */
function fillIn(parts: readonly TemplatePart[], environment: Environment, missing: Set<string>): Environment {
  const filled: Record<string, string | undefined> = { ...environment }
  const visit = (part: TemplatePart): void => {
    if (part.kind !== 'reference') return
    if (filled[part.name] === undefined) filled[part.name] = readMounted(environment[`${part.name}_FILE`])
    if (filled[part.name] !== undefined || part.message !== undefined) return
    for (const inner of part.fallback ?? []) visit(inner)
    if (part.fallback !== undefined) return
    missing.add(part.name)
    filled[part.name] = ''
  }
  for (const part of parts) visit(part)
  return filled
}

function readMounted(file: string | undefined): string | undefined {
  if (file === undefined || file === '') return undefined
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch {
    return undefined
  }
}

/** Its `.env`, or why there can be none: a line for each variable. */
export function nodeEnvironmentFile(
  values: Readonly<Record<string, string>>,
): { readonly text: string } | { readonly refusals: readonly string[] } {
  const entries = Object.entries(values).map(([key, value]) => ({ key, value }))
  return formatDotenv(entries.sort((a, b) => (a.key < b.key ? -1 : 1)))
}

/**
 * Writes the `.env` of a node where it differs, mode 0600. One that the machine did not write is kept under another name.
 * Gives its digest, and the sentence that says what was kept.
 */
export function writeNodeEnvironment(
  directory: string,
  text: string,
  written: string | null,
  stamp: string,
  owner: FileOwner | undefined,
): { readonly digest: string; readonly note: string | null } {
  const file = `${directory}/.env`
  const digest = digestOf(text)
  const there = readIfThere(file)
  if (there === text) return { digest, note: null }
  let note: string | null = null
  if (there !== null && digestOf(there) !== written) {
    renameSync(file, `${file}.local-${stamp}`)
    note = `its own ".env" was moved to ".env.local-${stamp}"`
  }
  writeFileAtomically(file, text, 0o600, owner)
  return { digest, note }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
