import { connect } from 'node:net'
import type { Plan, PlannedService } from '../../../schema/plan.ts'
import { ask, jsonOf, type Place } from './ask.ts'
import type { Check } from './check.ts'
import { promptComfyui } from './comfyui-check.ts'
import type { MachineStatus } from './machine-status.ts'
import { checkProxy } from './proxy-check.ts'

/** All that is looked at on a machine, in the order of its plan. What an operator stopped is left alone. */
export function planChecks(
  plan: Pick<Plan, 'services' | 'proxy'>,
  self: string,
  status: MachineStatus,
  secret: (name: string) => string | null,
): Check[] {
  const examined = plan.services.filter(({ name }) => name !== self && !status.stopped.includes(name))
  return examined.flatMap((service) => {
    const { name: serviceName } = service
    const seen = status.services[serviceName]
    const checks: Check[] = [
      {
        check: service.kind === 'task' ? 'task' : 'probe',
        service: serviceName,
        look: async () => readProbe(service, seen),
      },
    ]
    const place = placeOf(service)
    if (place !== null) checks.push({ check: 'port', service: serviceName, look: () => reach(place) })
    // What does not answer its probe has nothing more to say.
    const own = seen?.ready === true && place !== null ? ownLook(plan, service, place, secret) : null
    return own === null ? checks : [...checks, own]
  })
}

function placeOf({ address, listen, port }: PlannedService): Place | null {
  return port === null ? null : { address: address ?? listen ?? '127.0.0.1', port }
}

function readProbe({ optional, kind, workerId }: PlannedService, seen: MachineStatus['services'][string] | undefined) {
  if (seen?.ready === true) return workerId === null ? seen.state : `${seen.state} as ${workerId}`
  const how =
    seen === undefined ? 'the sidecar does not know it' : `${seen.state}${seen.reason ? `: ${seen.reason}` : ''}`
  if (optional && kind === 'task' && seen?.state !== 'failed') return { skip: how }
  throw new Error(how)
}

function reach({ address, port }: Place): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port })
    const settle = (finish: () => void) => {
      socket.destroy()
      finish()
    }
    socket.setTimeout(5000, () => settle(() => reject(new Error(`port ${port} does not answer within 5 s`))))
    socket.on('connect', () => settle(() => resolve(`port ${port}`)))
    socket.on('error', () => settle(() => reject(new Error(`nothing listens on port ${port}`))))
  })
}

function ownLook(
  { proxy }: Pick<Plan, 'proxy'>,
  { name: service, type }: PlannedService,
  place: Place,
  secret: (name: string) => string | null,
): Check | null {
  if (type === 'comfyui') return { check: 'prompt', service, look: () => promptComfyui(place) }
  if (type === 'automatic1111') return { check: 'options', service, look: () => readOptions(place) }
  if (type === 'ollama') return { check: 'version', service, look: () => readVersion(place) }
  if (type !== 'nginx' || proxy === null) return null
  const secretOf = (name: string | null) => (name === null ? null : secret(name))
  const { user, passwordSecret, tokenSecret } = proxy.auth
  const credential = { user, password: secretOf(passwordSecret), token: secretOf(tokenSecret) }
  return { check: 'credential', service, look: () => checkProxy(place, proxy, credential) }
}

async function readOptions(place: Place): Promise<string | { readonly skip: string }> {
  const answer = await ask(place, '/sdapi/v1/options')
  if (answer.status === 401) return { skip: 'its API asks for a credential of its own' }
  const { sd_model_checkpoint: checkpoint } = jsonOf(answer)
  return typeof checkpoint === 'string' && checkpoint !== '' ? `with ${checkpoint}` : 'without a checkpoint'
}

async function readVersion(place: Place): Promise<string> {
  return `version ${String(jsonOf(await ask(place, '/api/version')).version)}`
}
