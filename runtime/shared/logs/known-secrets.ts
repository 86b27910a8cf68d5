import { readdirSync, readFileSync } from 'node:fs'
import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { apiTokenFile } from '../api-token.ts'
import { resolveSecrets } from '../resolve-secrets.ts'

/**
 * The values of the secrets that this machine has, from this environment and from what setup has resolved, as far as this
 * user may read it: nobody who reads logs is to see one that a program printed.
 */
export function readKnownSecrets(
  { paths, secrets }: Pick<Plan, 'paths' | 'secrets'>,
  environment: Environment,
): string[] {
  const directory = `${paths.run}/secrets`
  const files = listFiles(directory).map((name) => `${directory}/${name}`)
  const resolved = resolveSecrets(secrets, environment).values.values()
  return [...resolved, ...[...files, apiTokenFile(paths)].map(readText)].filter((value) => value !== '')
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** Nothing where setup has not run yet, or for a user who may not read it: then there is nothing known to hide. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
