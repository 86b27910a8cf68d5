import { parseTemplate, type TemplatePart } from '../../schema/interpolation.ts'
import { type JsonValue, type Pointer, pointerKeys } from '../load/origin.ts'
import { resolveNode, type SchemaNode, schemaAt } from './schema-walk.ts'

/** Names that hold a secret more often than not; a literal value under one is treated as such. */
const SECRET_NAME =
  /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|(API|ACCESS|PRIVATE|STORAGE|ACCOUNT|ENCRYPTION|DECRYPT|SIGNING|SSH)_?KEY)($|_)/i

/** `scheme://user:password@`, with something in the place of the password. */
const URL_PASSWORD = /:\/\/[^/@\s]*?:([^/@\s]+)@/

/** Stands for what a variable will give; no text of a machine file has it, it is refused there. */
const RESOLVED = '\0'

/** Whether the value of an environment variable is to be kept as a secret although it stands in clear. */
export function isSecretVariable(name: string, value: string): boolean {
  return SECRET_NAME.test(name) || URL_PASSWORD.test(value)
}

/**
 * Whether the value at a place may be a secret, or hold one: no message and no excerpt shows it. A wrong value counts
 * too: a list in the place of a password, a password in the place of the map around it.
 */
export function mayBeSecret(pointer: Pointer, value: JsonValue | undefined): boolean {
  const keys = pointerKeys(pointer)
  for (let length = keys.length; length > 0; length -= 1) {
    const treatment = schemaAt(keys.slice(0, length))?.['x-machinegen-secret']
    if (treatment === 'always') return true
    if (treatment === 'references') return isSecretVariable(keys[length - 1] ?? '', String(value))
  }
  if (typeof value !== 'object' && holdsSecrets(schemaAt(keys))) return true
  return isMisspelt(keys)
}

/** A key that the format does not have, beside a secret: `redis.urll`. */
function isMisspelt(keys: readonly string[]): boolean {
  const unknown = keys.findIndex((_, index) => schemaAt(keys.slice(0, index + 1)) === null)
  const parent = unknown < 1 ? null : schemaAt(keys.slice(0, unknown))
  return Object.values(parent?.properties ?? {}).some((child) => isSecret(resolveNode(child)))
}

const isSecret = (node: SchemaNode): boolean => node['x-machinegen-secret'] === 'always'

function holdsSecrets(node: SchemaNode | null): boolean {
  return Object.values(node?.properties ?? {}).some((child) => {
    const resolved = resolveNode(child)
    return isSecret(resolved) || holdsSecrets(resolved)
  })
}

/**
 * Whether a value with references has a secret in clear beside them: a fallback where nothing but a secret stands, or a
 * password in a URL. The plan, which everybody may read, holds such values as they are written.
 */
export function hasLiteralSecret(text: string, isAllSecret: boolean): boolean {
  const parts = parseTemplate(text)
  const isUrl = text.includes('://')
  if (isAllSecret && !isUrl && parts.some((part) => flattened(fallbackOf(part)).replaceAll(RESOLVED, '') !== ''))
    return true
  const password = flattened(parts).match(URL_PASSWORD)?.[1] ?? ''
  return password.replaceAll(RESOLVED, '') !== ''
}

const fallbackOf = (part: TemplatePart): readonly TemplatePart[] =>
  part.kind === 'reference' ? (part.fallback ?? []) : []

function flattened(parts: readonly TemplatePart[]): string {
  return parts
    .map((part) => (part.kind === 'text' ? part.text : `${RESOLVED}${flattened(fallbackOf(part))}${RESOLVED}`))
    .join('')
}
