import { childPointer } from '../load/origin.ts'
import { TASK_NAMES } from '../services/provisioning-task.ts'
import type { Finding, ServiceDraft } from '../services/service-type.ts'

/** Names that s6-overlay or the compiler gives to something else. */
const RESERVED = new Set([
  'sidecar',
  'setup-directories',
  'farewell',
  'redis-worker',
  'sshd',
  'base',
  'top',
  'user',
  'user2',
  'default',
  'fix-attrs',
  'legacy-cont-init',
  'legacy-services',
  'logs',
  'machine',
  ...TASK_NAMES,
])

const RESERVED_PATTERNS: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /^s6/, why: 's6 keeps names that start with "s6" for itself' },
  { pattern: /^gpu\d+$/, why: 'it addresses all services of a GPU' },
  { pattern: /-log$/, why: 'loggers end in "-log"' },
  { pattern: /-pipeline$/, why: 'a service and its logger are addressed by "-pipeline"' },
]

/** s6 names become files, bundle members and gates: letters, digits and `-`, and short enough for all of them. */
const CUSTOM_NAME = /^[a-z][a-z0-9-]{0,47}$/

/** Reports names that a custom service cannot have. */
export function checkServiceName(key: string, report: (finding: Finding) => void): void {
  const pointer = childPointer('/services', key)
  const why = reservedBecause(key)
  if (!CUSTOM_NAME.test(key)) {
    report({
      code: 'BAD_NAME',
      severity: 'error',
      pointer,
      part: 'key',
      message: `cannot call a service "${key}": a name starts with a letter and has at most 48 of a-z, 0-9 and "-"`,
    })
  } else if (why !== null) {
    report({
      code: 'RESERVED_NAME',
      severity: 'error',
      pointer,
      part: 'key',
      message: `cannot call a service "${key}": ${why}`,
    })
  }
}

function reservedBecause(key: string): string | null {
  if (RESERVED.has(key)) return 'the name is taken by the machine itself'
  return RESERVED_PATTERNS.find(({ pattern }) => pattern.test(key))?.why ?? null
}

/** Reports instances of different services that end up with one name: `my-api` per GPU beside a `my-api-gpu0`. */
export function checkInstanceNames(drafts: readonly ServiceDraft[], report: (finding: Finding) => void): void {
  const owners = new Map<string, string>()
  for (const { service } of drafts) {
    const owner = owners.get(service.name)
    if (owner !== undefined && owner !== service.key) {
      report({
        code: 'NAME_CONFLICT',
        severity: 'error',
        pointer: childPointer('/services', service.key),
        part: 'key',
        message: `cannot call an instance of "${service.key}" "${service.name}": "${owner}" has one of that name`,
        related: [{ pointer: childPointer('/services', owner), part: 'key', message: `"${owner}" is here` }],
      })
    }
    owners.set(service.name, owner ?? service.key)
  }
}
