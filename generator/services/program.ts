import { parseTemplate, resolveTemplate, templateVariables } from '../../schema/interpolation.ts'
import { childPointer, type Pointer } from '../load/origin.ts'
import { isSecretVariable } from '../validate/secret-places.ts'
import type { PlanContext, ServiceKind } from './service-type.ts'

/** Variables that pin a service to its GPU, whatever its type. */
export const PINNING_VARIABLES = ['CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER'] as const

export interface ProgramEnvironment {
  readonly environment: Record<string, string>
  readonly secretEnvironment: Record<string, string>
}

/**
 * The user's `env` of a service: plain values, and names of secrets for those that refer to the environment of the
 * machine or stand under a secret's name. `base` is what the compiler sets; the user's values win over it, except for
 * variables that the compiler owns, which are reported.
 */
export function planEnvironment(
  context: PlanContext,
  kind: Pick<ServiceKind, 'ownedVariables'>,
  key: string,
  env: Readonly<Record<string, string | number | boolean>>,
  base: Readonly<Record<string, string>>,
): ProgramEnvironment {
  return readEnvironment(context, kind, key, env)(base)
}

/** Of one instance: `own` is what the compiler sets for it, `alike` what it sets for all instances. */
export type EnvironmentOf = (
  own: Readonly<Record<string, string>>,
  alike?: Readonly<Record<string, string>>,
) => ProgramEnvironment

/** The same for a service with many instances, each with variables of its own: the user's part is read once. */
export function readEnvironment(
  context: PlanContext,
  kind: Pick<ServiceKind, 'ownedVariables'>,
  key: string,
  env: Readonly<Record<string, string | number | boolean>>,
): EnvironmentOf {
  const plain = new Map<string, string>()
  const secrets = new Set<string>()
  const named: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    const pointer = ['services', key, 'env', name].reduce(childPointer, '')
    const text = String(value)
    if (kind.ownedVariables.includes(name)) {
      context.report({
        code: 'OWNED_VARIABLE',
        severity: 'error',
        pointer,
        part: 'key',
        message: `cannot set "${name}" for "${key}": the compiler sets it itself`,
        hint: ownedVariableHint(name),
      })
    } else if (isReference(text) || (text !== '' && isSecretVariable(name, text))) {
      secrets.add(name)
      // No name of the machine's own secrets has a dot: a service "redis" with a variable "url" is not the job queue.
      const secret = context.secret(pointer, `${key}.${name}`, text)
      if (secret !== null) named[name] = secret
    } else {
      plain.set(name, literalText(text))
    }
  }
  const secretEnvironment = sortedByName(named)
  const namesOf = namesInOrder([...plain.keys()], secrets)
  return (own, alike = {}) => {
    // Name by name: a worker has sixty, and to spread that many takes three times as long.
    const environment: Record<string, string> = {}
    for (const name of namesOf(own, alike)) environment[name] = plain.get(name) ?? own[name] ?? alike[name] ?? ''
    return { environment, secretEnvironment }
  }
}

/** Names that are set, sorted: the order of the file does not show. Sorted once where instances have the same ones. */
function namesInOrder(users: readonly string[], secrets: ReadonlySet<string>) {
  let last: string | null = null
  let names: readonly string[] = []
  return (own: object, alike: object): readonly string[] => {
    const compilers = [...Object.keys(own), ...Object.keys(alike)]
    const key = compilers.join()
    if (key !== last) names = [...new Set([...users, ...compilers])].filter((name) => !secrets.has(name)).sort()
    last = key
    return names
  }
}

function sortedByName(map: Readonly<Record<string, string>>): Record<string, string> {
  const sorted: Record<string, string> = {}
  for (const name of Object.keys(map).sort()) sorted[name] = map[name] as string
  return sorted
}

function ownedVariableHint(name: string): string {
  if (name.includes('REDIS_URL')) return 'set redis.url'
  if (name.endsWith('AUTH_TOKEN')) return 'set redis.authToken'
  if (name.startsWith('CUDA_')) return 'GPUs are pinned with machine.gpu.devices and gpus'
  return 'the settings of the service decide it'
}

/**
 * A value without references, as it is meant: secret and deferred fields are read as they are written, `$$` and all.
 */
export function literalText(text: string): string {
  const resolution = resolveTemplate(parseTemplate(text), {})
  return 'value' in resolution ? resolution.value : text
}

/** Whether a text has a `${VAR}` that is resolved when the machine boots. */
export function isReference(text: string): boolean {
  return text.includes('$') && templateVariables(parseTemplate(text)).length > 0
}

/** Reports flags in `args` that the compiler sets itself, also in their `--flag=value` and abbreviated forms. */
export function checkArguments(context: PlanContext, kind: ServiceKind, key: string, args: readonly string[]): void {
  args.forEach((argument, index) => {
    const flag = argument.split(/[=\s]/, 1)[0] ?? ''
    const owned = kind.ownedFlags.find((name) => name === flag || isAbbreviation(flag, name))
    if (owned === undefined) return
    context.report({
      code: 'OWNED_FLAG',
      severity: 'error',
      pointer: ['services', key, 'args', index].reduce(childPointer, '') as Pointer,
      message: `cannot pass "${argument}" to "${key}": the compiler sets "${owned}" itself`,
      hint: FLAG_HINTS[owned] ?? 'the settings of the service decide it',
    })
  })
}

/** argparse, which ComfyUI and Automatic1111 use, takes any unambiguous beginning of a flag. */
function isAbbreviation(flag: string, name: string): boolean {
  return flag.startsWith('--') && flag.length >= 5 && name.startsWith(flag) && name.startsWith('--')
}

const FLAG_HINTS: Record<string, string> = {
  '--port': 'use basePort',
  '--listen': 'use listen',
  '--server-name': 'use listen',
  '--cuda-device': 'use machine.gpu.devices',
  '--default-device': 'use machine.gpu.devices',
  '--device-id': 'use machine.gpu.devices',
  '--cpu': 'use machine.gpu.mock',
  '--use-cpu': 'use machine.gpu.mock',
  '--max-upload-size': 'use services.nginx.maxBodySize',
}
