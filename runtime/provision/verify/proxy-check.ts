import type { PlannedProxy } from '../../../schema/plan.ts'
import { ask, type Place } from './ask.ts'

/** A credential as setup resolves it; empty or a hash says nothing that could be sent. */
export interface ProxyCredential {
  readonly user: string
  readonly password: string | null
  readonly token: string | null
}

const HASHED = /^(\$[a-z0-9]+\$|\{(SSHA|SHA)\})|^[^:\s]+:/

/** nginx answers whom it should, and nobody else. */
export async function checkProxy(
  place: Place,
  { auth, healthPath }: Pick<PlannedProxy, 'auth' | 'healthPath'>,
  credential: ProxyCredential,
): Promise<string> {
  const health = await ask(place, healthPath)
  if (health.status !== 200 && health.status !== 503) throw new Error(`"${healthPath}" answers ${health.status}`)
  const stranger = (await ask(place, '/')).status
  if (auth.mode === 'off') {
    if (stranger !== 200) throw new Error(`"/" answers ${stranger}`)
    return 'it is open to everybody'
  }
  if (stranger !== 401) throw new Error(`it answers ${stranger} to a request without a credential, not 401`)
  const header = authorizationOf(credential)
  if (header === null) return 'strangers stay out; its credential is a hash, or there is none'
  const { status } = await ask(place, '/', { headers: { Authorization: header } })
  if (status !== 200) throw new Error(`it answers ${status} to its own credential`)
  return 'it lets its credential in, and nobody else'
}

function authorizationOf({ user, password, token }: ProxyCredential): string | null {
  if (token !== null) return `Bearer ${token}`
  if (password === null || (HASHED.test(password) && !password.startsWith('{PLAIN}'))) return null
  const clear = password.startsWith('{PLAIN}') ? password.slice('{PLAIN}'.length) : password
  return `Basic ${Buffer.from(`${user}:${clear}`).toString('base64')}`
}
