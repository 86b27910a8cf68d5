import { readFileSync } from 'node:fs'
import { type Environment, parseTemplate, resolveTemplate, templateVariables } from '../../schema/interpolation.ts'
import type { PlannedSecret } from '../../schema/plan.ts'

export interface ResolvedSecrets {
  /** Values by name; a secret that could not be resolved is not in it. */
  readonly values: ReadonlyMap<string, string>
  /** What is wrong, a line each. No line holds a value. */
  readonly problems: readonly string[]
}

/**
 * Resolves the secrets of a plan. A variable that is not set, or empty, is looked for in the file that `<NAME>_FILE` names, as
 * container engines mount secrets.
 */
export function resolveSecrets(secrets: readonly PlannedSecret[], environment: Environment): ResolvedSecrets {
  const values = new Map<string, string>()
  const problems: string[] = []
  for (const secret of secrets) {
    try {
      values.set(secret.name, resolveSecret(secret, environment))
    } catch (error) {
      problems.push(`cannot resolve secret "${secret.name}" (${secret.field}): ${(error as Error).message}`)
    }
  }
  return { values, problems }
}

function resolveSecret({ source }: PlannedSecret, environment: Environment): string {
  if (source.kind === 'literal') return readFileSync(source.file, 'utf8')
  const parts = parseTemplate(source.template)
  const resolution = resolveTemplate(parts, withFiles(environment, templateVariables(parts)))
  if ('value' in resolution) return resolution.value
  throw new Error(
    resolution.problems.map(({ message, hint }) => (hint === undefined ? message : `${message} (${hint})`)).join('; '),
  )
}

function withFiles(environment: Environment, variables: readonly string[]): Environment {
  const filled: Record<string, string | undefined> = { ...environment }
  for (const name of variables) {
    const file = environment[`${name}_FILE`]
    if ((environment[name] ?? '') !== '' || file === undefined || file === '') continue
    filled[name] = readSecretFile(`${name}_FILE`, file)
  }
  return filled
}

function readSecretFile(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`cannot read "${file}", which ${variable} names: ${code ?? (error as Error).message}`)
  }
}
