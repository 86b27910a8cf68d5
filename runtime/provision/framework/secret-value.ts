import { readFileSync } from 'node:fs'
import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { resolveSecrets } from '../../shared/resolve-secrets.ts'

/**
 * Reads planned secrets by name: the file that setup wrote, else the environment, so that a task can be run by hand too.
 * `null` for one that is empty or that the plan does not have; throws where it cannot be resolved.
 */
export function secretReader(
  { paths, secrets }: Pick<Plan, 'paths' | 'secrets'>,
  environment: Environment,
): (name: string) => string | null {
  return (name) => {
    const planned = secrets.find((secret) => secret.name === name)
    if (planned === undefined) return null
    const written = readWritten(`${paths.run}/secrets/${name}`)
    if (written !== null) return written === '' ? null : written
    const { values, problems } = resolveSecrets([planned], environment)
    if (problems.length > 0) throw new Error(problems.join('; '))
    return values.get(name) || null
  }
}

function readWritten(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
