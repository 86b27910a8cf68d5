import { connect } from 'node:net'
import type { PlannedService, Probe } from '../../../schema/plan.ts'
import type { HttpAsk } from './http-ask.ts'

export type ProbeOutcome =
  | {
      readonly ok: true
      /** What it answered, where it was asked by HTTP. */
      readonly answer?: string
    }
  | {
      readonly ok: false
      /** A slow answer, which a busy service may give; anything else says that it does not work now. */
      readonly patient: boolean
      readonly problem: string
      /**
       * Set where more is known of its life than that a probe failed. `true`: it lives and is only not ready, however
       * often it says so. `false`: it will not work again without a restart.
       */
      readonly live?: boolean
    }

type HttpProbe = Extract<Probe, { kind: 'http' }>

/** Asks a service once whether it works. Never throws, and ends within `liveness.timeoutMs`. */
export async function probe(
  service: Pick<PlannedService, 'type' | 'address' | 'port' | 'probe' | 'liveness'>,
  ask: HttpAsk,
): Promise<ProbeOutcome> {
  const { probe: kind, port, liveness } = service
  if (kind === null || kind.kind === 'uptime' || kind.kind === 'task' || port === null) return { ok: true }
  const authority = authorityOf(service)
  try {
    if (kind.kind === 'tcp') {
      await connectOnce(service.address ?? '127.0.0.1', port, liveness.timeoutMs)
      return { ok: true }
    }
    const { status, body } = await ask(serviceUrl(service, kind.path), liveness.timeoutMs, {
      keep: servesMany(service),
    })
    const flaw = judgeAnswer(kind, status, body)
    return flaw === null
      ? { ok: true, answer: body }
      : { ok: false, patient: false, problem: `GET ${kind.path}: ${flaw}` }
  } catch (error) {
    const subject = kind.kind === 'tcp' ? `port ${port}` : `GET ${kind.path}`
    return judgeFailure(error, subject, authority, liveness.timeoutMs)
  }
}

/** Whether a connection may be kept open to it: a custom service may be one that serves a single one at a time. */
function servesMany({ type }: Pick<PlannedService, 'type'>): boolean {
  return type !== 'custom'
}

/** `127.0.0.1:8188`, `[::1]:8188`: where a service is reached from inside the machine. */
export function authorityOf({ address, port }: Pick<PlannedService, 'address' | 'port'>): string {
  const host = address ?? '127.0.0.1'
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const urls = new Map<string, URL>()

/** A place on a service. The same few are asked all day long: each is made once. */
export function serviceUrl(service: Pick<PlannedService, 'address' | 'port'>, path: string): URL {
  const text = `http://${authorityOf(service)}${path}`
  const url = urls.get(text) ?? new URL(text)
  urls.set(text, url)
  return url
}

/** What is wrong with an answer: a status other than 2xx, or JSON that is not what the program gives. */
export function judgeAnswer(probe: HttpProbe, status: number, body: string): string | null {
  if (status < 200 || status > 299) return `status ${status}`
  const expected = EXPECTED[probe.expect]
  if (expected === undefined) return null
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    return 'the answer is not JSON'
  }
  return expected.fits(answer) ? null : `the answer has no ${expected.what}: another program may have the port`
}

const has = (value: unknown, key: string, type: 'object' | 'number' | 'string'): boolean => {
  if (typeof value !== 'object' || value === null) return false
  const field = (value as Record<string, unknown>)[key]
  return field !== null && typeof field === type
}

const EXPECTED: Partial<Record<HttpProbe['expect'], { fits: (answer: unknown) => boolean; what: string }>> = {
  comfyui: {
    fits: (answer) => has(answer, 'system', 'object') && has(answer, 'devices', 'object'),
    what: '"system" and "devices"',
  },
  automatic1111: { fits: (answer) => has(answer, 'progress', 'number'), what: '"progress"' },
  ollama: { fits: (answer) => has(answer, 'version', 'string'), what: '"version"' },
}

function connectOnce(host: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(TIMEOUT)))
    socket.once('connect', () => {
      resolve()
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

const TIMEOUT = 'timeout'

function judgeFailure(error: unknown, subject: string, authority: string, timeoutMs: number): ProbeOutcome {
  const { code, name, message } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return { ok: false, patient: false, problem: `nothing listens on ${authority}` }
  const isTimeout = message === TIMEOUT || name === 'TimeoutError' || (code ?? '').includes('TIMEOUT')
  return {
    ok: false,
    patient: true,
    problem: `${subject}: ${isTimeout ? `no answer within ${timeoutMs} ms` : message}`,
  }
}
