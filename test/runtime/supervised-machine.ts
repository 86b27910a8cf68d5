import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Plan, PlannedService } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import {
  bundleProgram,
  freePorts,
  localPlan,
  plannedService,
  SERVICE_PROGRAM,
  sidecarService,
  until,
  writeLocalTree,
} from './local-tree.ts'

/** Whatever a program answered. */
export type Json = ReturnType<typeof JSON.parse>

export interface MachineTree {
  readonly root: string
  readonly plan: Plan
  readonly planFile: string
  /** The sidecar's answer to a path: status and JSON. */
  readonly ask: (path: string, init?: RequestInit) => Promise<{ status: number; body: Json }>
}

const programs = temporaryDirectory()
const sidecarProgram = bundleProgram('runtime/sidecar/main.ts', `${programs}/sidecar.mjs`)
const serviceProgram = `${programs}/service.mjs`
writeFileSync(serviceProgram, SERVICE_PROGRAM)

/** A service of a machine before it has a port. */
export type Draft = Partial<PlannedService> & {
  readonly name: string
  readonly delayMs?: number
  readonly http?: boolean
}

/** Writes a machine of a sidecar and these services; `http` ones are small HTTP servers with a probe on `/ok`. */
export async function writeMachine(drafts: readonly Draft[]): Promise<MachineTree> {
  const root = temporaryDirectory()
  const [sidecarPort, ...ports] = await freePorts(drafts.length + 1)
  const planFile = `${root}/config/plan.json`
  const services = drafts.map(({ delayMs = 0, http = false, ...overrides }, index) => {
    const port = ports[index]!
    const server: Partial<PlannedService> = {
      port,
      address: '127.0.0.1',
      command: [process.execPath, serviceProgram],
      probe: { kind: 'http', path: '/ok', expect: 'status' },
      environment: { PORT: String(port), DELAY_MS: String(delayMs) },
    }
    const merged = plannedService({ ...(http ? server : {}), ...overrides })
    return { ...merged, environment: { ...(http ? server.environment : {}), ...overrides.environment } }
  })
  const plan = localPlan(root, [sidecarService(sidecarProgram, planFile, sidecarPort!), ...services], sidecarPort)
  writeLocalTree(plan)
  const ask: MachineTree['ask'] = async (path, init) => {
    const response = await fetch(`http://127.0.0.1:${sidecarPort}${path}`, {
      ...init,
      signal: AbortSignal.timeout(3000),
    })
    return { status: response.status, body: await response.json().catch(() => null) }
  }
  return { root, plan, planFile, ask }
}

/** Runs a machine under a real s6-svscan, without `machinegen up`; `stop` ends it and waits. */
export async function supervise({
  plan,
  ask,
}: MachineTree): Promise<{ svscan: ChildProcess; stop: () => Promise<void> }> {
  for (const path of [plan.paths.gates, `${plan.paths.run}/waiting`, `${plan.paths.run}/pgid`, plan.paths.workspace]) {
    mkdirSync(path, { recursive: true })
  }
  const svscan = spawn('s6-svscan', [plan.paths.services], { detached: true, stdio: 'ignore' })
  const ended = new Promise((resolve) => svscan.once('exit', resolve))
  await until('the sidecar answers', 15_000, () => ask('/version').catch(() => null))
  return {
    svscan,
    stop: async () => {
      svscan.kill('SIGTERM')
      await ended
    },
  }
}

export const portOf = ({ plan }: MachineTree, name: string): number =>
  plan.services.find((service) => service.name === name)!.port!

/** Waits until a service has the state, and gives what the sidecar says of it then. */
export function untilState({ ask }: MachineTree, name: string, state: string, timeoutMs = 15_000): Promise<Json> {
  return until(`"${name}" is ${state}`, timeoutMs, async () => {
    const { body } = await ask(`/services/${name}`).catch(() => ({ body: null }))
    return body?.state === state ? body : null
  })
}
