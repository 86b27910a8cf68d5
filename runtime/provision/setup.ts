import type { Environment } from '../../schema/interpolation.ts'
import type { Plan } from '../../schema/plan.ts'
import { waitingDirectory } from '../shared/observe-service.ts'
import { resolveSecrets } from '../shared/resolve-secrets.ts'
import { createDirectories } from './directories.ts'
import { createLinks, readStaticModelLinks } from './links.ts'
import {
  writeProxyCredentials,
  writeSecretEnvironments,
  writeSecretFiles,
  writeSecretValues,
} from './secret-artifacts.ts'
import { clearStaleGates } from './volatile-state.ts'

/**
 * Makes a machine ready to start: directories, links, resolved secrets, credential files of the proxy. It can be repeated
 * at any time. Gives all that went wrong, a line each, without any secret in it; the rest is done all the same. `note`
 * hears what somebody should know although the machine starts.
 */
export function setUpMachine(
  plan: Plan,
  environment: Environment,
  note: (line: string) => void = (line) => process.stderr.write(`setup: ${line}\n`),
): readonly string[] {
  const { paths } = plan
  const volatile = [paths.gates, waitingDirectory(paths), `${paths.run}/pgid`].map((path) => ({
    path,
    mode: 0o755,
    user: null,
  }))
  const secret = [`${paths.run}/secrets`, `${paths.run}/env`].map((path) => ({ path, mode: 0o700, user: null }))
  const failures = createDirectories(distinct([...plan.directories, ...volatile, ...secret]))
  const { values, problems } = resolveSecrets(plan.secrets, environment)
  // Files of secrets could only fail for the same reasons again.
  if (failures.length > 0) return [...failures, ...problems]
  clearStaleGates(plan)
  const models = readStaticModelLinks(paths)
  for (const line of [...createLinks([...plan.links, ...models.links]), ...models.problems]) note(line)
  return [
    ...problems,
    ...writeSecretValues(plan, values),
    ...writeSecretEnvironments(plan, values),
    ...writeSecretFiles(plan, values),
    ...writeProxyCredentials(plan.proxy, values),
  ]
}

function distinct<T extends { readonly path: string }>(directories: readonly T[]): T[] {
  return directories.filter(({ path }, index) => directories.findIndex((other) => other.path === path) === index)
}
