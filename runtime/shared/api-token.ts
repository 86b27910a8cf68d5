import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Environment } from '../../schema/interpolation.ts'
import type { MachinePaths, Plan } from '../../schema/plan.ts'
import { resolveSecrets } from './resolve-secrets.ts'

/** The token that the sidecar's API asks for, and whatever is wrong with it, in words without it. */
export interface ApiToken {
  /** `null`: nobody can show a right one. */
  readonly value: string | null
  readonly problems: readonly string[]
}

/** What a header can carry, in a length that nobody guesses. */
const USABLE = /^[\x21-\x7e]{8,4096}$/

/** Where the token is kept where the machine file gives none. */
export function apiTokenFile(paths: Pick<MachinePaths, 'state'>): string {
  return `${paths.state}/api-token`
}

/**
 * The token of the machine file, from this environment; else the one in {@link apiTokenFile}, which is made where it is
 * missing. A token that is given and cannot be used is a problem, never replaced by another.
 */
export function loadApiToken(plan: Pick<Plan, 'paths' | 'secrets' | 'sidecar'>, environment: Environment): ApiToken {
  const secret = plan.secrets.find(({ name }) => name === plan.sidecar.tokenSecret)
  if (secret !== undefined) {
    const { values, problems } = resolveSecrets([secret], environment)
    const value = values.get(secret.name)?.trim()
    if (value === undefined) return { value: null, problems }
    if (value !== '') return checked(value)
  }
  const file = apiTokenFile(plan.paths)
  try {
    return { value: readTokenFile(file) ?? makeTokenFile(file), problems: [] }
  } catch (error) {
    return { value: null, problems: [`cannot keep a token in "${file}": ${(error as Error).message}`] }
  }
}

function checked(value: string): ApiToken {
  if (USABLE.test(value)) return { value, problems: [] }
  const why = 'it must have 8 characters or more, none of them a space or outside of ASCII'
  return { value: null, problems: [`cannot use the token that the machine file gives: ${why}`] }
}

/** `null` where there is none, or something that cannot be one. Others lose the right to read it. */
function readTokenFile(file: string): string | null {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return null
  if ((stat.mode & 0o077) !== 0) chmodSync(file, 0o600)
  const value = readFileSync(file, 'utf8').trim()
  return USABLE.test(value) ? value : null
}

/** Of two programs that make it at once, the later one takes what the earlier one made. */
function makeTokenFile(file: string): string {
  const value = randomBytes(32).toString('base64url')
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.${randomBytes(6).toString('hex')}`
  writeFileSync(temporary, `${value}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(temporary, file)
    return value
  } catch (error) {
    const other = (error as NodeJS.ErrnoException).code === 'EEXIST' ? readTokenFile(file) : null
    if (other !== null) return other
    // What is there is no token, or the volume knows no links.
    renameSync(temporary, file)
    return value
  } finally {
    rmSync(temporary, { force: true })
  }
}
