import type { Pointer } from '../load/origin.ts'
import type { Finding } from '../services/service-type.ts'
import { dotted } from '../validate/check-shape.ts'

export interface LiteralSecret {
  readonly pointer: Pointer
  readonly value: string
}

/**
 * One warning for all secrets that stand in the machine file in clear. They are kept in files of mode 0600 and nowhere
 * else, but the machine file itself may be anywhere.
 */
export function checkLiteralSecrets(secrets: readonly LiteralSecret[], report: (finding: Finding) => void): void {
  const [first, ...others] = secrets
  if (first === undefined) return
  const placeholder = first.pointer === '/redis/url' && isPlaceholderUrl(first.value)
  report({
    code: 'LITERAL_SECRET',
    severity: 'warning',
    pointer: first.pointer,
    message: `cannot keep "${dotted(first.pointer)}" secret: it stands in the machine file${placeholder ? ', and it is a placeholder: its port is no number' : ''}`,
    hint: `refer to the environment: ${exampleFor(first.pointer)}`,
    related: others.map(({ pointer }) => ({
      pointer,
      message: `"${dotted(pointer)}" stands in the machine file as well`,
    })),
  })
}

/** Refuses secrets in clear beside references: the plan, which everybody may read, would hold them. */
export function checkMixedSecrets(fields: readonly Pointer[], report: (finding: Finding) => void): void {
  for (const pointer of fields) {
    report({
      code: 'UNSAFE_VALUE',
      severity: 'error',
      pointer,
      message: `cannot keep "${dotted(pointer)}" secret: a part of it stands in clear beside a reference`,
      hint: `let the reference give all of it: ${exampleFor(pointer)}`,
    })
  }
}

/** `redis://default:password@host:port`, as documentation writes it. */
function isPlaceholderUrl(value: string): boolean {
  return !URL.canParse(value)
}

function exampleFor(pointer: Pointer): string {
  const key = pointer.split('/').at(-1) ?? ''
  const examples: Record<string, string> = {
    url: 'url: "${HUB_REDIS_URL}"',
    authToken: 'authToken: "${WORKER_WEBSOCKET_AUTH_TOKEN:-}"',
    password: 'password: "${SERVER_CREDS}"',
    token: `token: "\${${pointer === '/sidecar/token' ? 'MACHINE_API_TOKEN' : 'MACHINE_TOKEN'}}"`,
  }
  return examples[key] ?? `${key}: "\${${key}}"`
}
