/**
 * What went wrong with Redis, by what helps:
 * - `away`: it cannot be reached, or does not answer; tried again soon
 * - `busy`: it is there and will take events in a moment (it loads, fails over); tried again soon
 * - `refused`: somebody has to change something (a password, rights, a certificate); tried again slowly
 */
export type ProblemKind = 'away' | 'busy' | 'refused'

export interface RedisProblem {
  readonly kind: ProblemKind
  /** In words, without a secret; the same for the same problem, so that it is said once. */
  readonly message: string
}

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 10_000
const BUSY_RETRY_MS = 1000
const REFUSED_RETRY_MS = 30_000

/** Spreads the machines of a fleet that all lost the same Redis. */
const JITTER = 0.2

/** The pause before attempt number `failures` + 1; `random` is from 0 to 1. */
export function retryDelayMs(kind: ProblemKind, failures: number, random: number): number {
  const exponential = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10), LONGEST_RETRY_MS)
  const base =
    kind === 'refused' ? REFUSED_RETRY_MS : kind === 'busy' ? Math.min(exponential, BUSY_RETRY_MS) : exponential
  return base * (1 + JITTER * (2 * random - 1))
}

const ADVICE: Readonly<Record<string, { readonly kind: ProblemKind; readonly message: string }>> = {
  WRONGPASS: { kind: 'refused', message: 'it refuses the user or password of URL' },
  NOAUTH: { kind: 'refused', message: 'it wants a password, and URL has none' },
  NOPERM: { kind: 'refused', message: 'the user of URL lacks a right' },
  READONLY: { kind: 'busy', message: 'it is a replica that takes no writes' },
  LOADING: { kind: 'busy', message: 'it loads its data' },
  MASTERDOWN: { kind: 'busy', message: 'its master is away' },
  CLUSTERDOWN: { kind: 'busy', message: 'its cluster is down' },
  BUSY: { kind: 'busy', message: 'it runs a script' },
  TRYAGAIN: { kind: 'busy', message: 'it asks to try again' },
  OOM: { kind: 'away', message: 'its memory is full' },
  MISCONF: { kind: 'away', message: 'it cannot write to its disk, and takes no writes until it can' },
  NOREPLICAS: { kind: 'away', message: 'it has too few replicas' },
  MOVED: { kind: 'refused', message: 'it is a cluster, which is not supported: name a single server or Sentinels' },
  WRONGTYPE: { kind: 'refused', message: 'a key of the machine holds something else' },
  ERR: { kind: 'away', message: 'it refuses a command' },
}

const CERTIFICATE = /CERT|certificate|self.signed|altnames|SSL|TLS|wrong version number/i

/** What is done with Redis, and where its URL stands: for messages. */
export interface RedisUse {
  readonly deed: string
  readonly url: string
}

const PUBLISHING: RedisUse = { deed: 'publish events to', url: 'redis.url' }

/** What an error of the client or a reply of the server means. `secrets` are taken out of the words. */
export function describeProblem(
  error: unknown,
  name: string,
  secrets: readonly string[],
  { deed, url }: RedisUse = PUBLISHING,
): RedisProblem {
  const { message, code } = error as NodeJS.ErrnoException
  const text = withoutSecrets(message, secrets)
  const advice = ADVICE[/^([A-Z]+) /.exec(message)?.[1] ?? '']
  if (advice !== undefined) {
    const meaning = advice.message.replace('URL', url)
    return { kind: advice.kind, message: `cannot ${deed} Redis at ${name}: ${meaning} (${text})` }
  }
  const isCertificate = CERTIFICATE.test(code ?? '') || (code !== 'ECONNREFUSED' && CERTIFICATE.test(message))
  const kind = isCertificate ? 'refused' : 'away'
  return { kind, message: `cannot reach Redis at ${name}: ${text}` }
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.filter((secret) => secret.length > 3).reduce((cut, secret) => cut.replaceAll(secret, '***'), text)
}
