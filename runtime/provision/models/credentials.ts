import type { PlannedModel, PlannedProvisioning } from '../../../schema/plan.ts'
import type { HeadersFor } from '../download/request.ts'

/** A token, where it may go, and what a message calls it. */
export interface Credential {
  readonly name: string
  readonly token: string
  readonly mayGoTo: (url: URL) => boolean
}

/** Tokens of hubs, by the hosts that they are for: no other ever gets them, and nobody listens in on the way. */
const HUBS: readonly { readonly variable: string; readonly hosts: readonly string[] }[] = [
  { variable: 'HF_TOKEN', hosts: ['huggingface.co', 'hf.co'] },
  { variable: 'CIVITAI_TOKEN', hosts: ['civitai.com', 'www.civitai.com'] },
]

/** The variable whose token a host asks for, where it is a known one. */
export function variableFor(host: string): string | null {
  return HUBS.find(({ hosts }) => hosts.includes(host))?.variable ?? null
}

/** The tokens that a model may need, its own first. */
export function credentialsOf(
  model: PlannedModel,
  start: URL | null,
  { credentials }: Pick<PlannedProvisioning, 'credentials'>,
  secret: (name: string) => string | null,
): Credential[] {
  const own = model.tokenSecret === null ? null : secret(model.tokenSecret)
  const found: Credential[] = []
  if (own !== null && start !== null) {
    found.push({ name: `the token of ${model.entry}`, token: own, mayGoTo: (url) => url.origin === start.origin })
  }
  for (const { variable, hosts } of HUBS) {
    const name = credentials[variable]
    const token = name === undefined ? null : secret(name)
    if (token === null) continue
    found.push({
      name: variable,
      token,
      mayGoTo: (url) => url.protocol === 'https:' && url.port === '' && hosts.includes(url.hostname),
    })
  }
  return found
}

/** What goes along with a request to a URL: the first token that may. Asked at each redirect anew. */
export function authorization(credentials: readonly Credential[]): HeadersFor {
  return (url) => {
    const credential = credentials.find(({ mayGoTo }) => mayGoTo(url))
    return credential === undefined ? {} : { Authorization: `Bearer ${credential.token}` }
  }
}
