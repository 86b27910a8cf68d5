import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter } from 'node:path'
import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan, PlannedService } from '../../../schema/plan.ts'
import { apiTokenFile } from '../../shared/api-token.ts'
import { readProgress } from '../../shared/provision-progress.ts'
import { isScanned } from '../../shared/service-control.ts'
import type { SidecarAnswer } from '../ask-sidecar.ts'
import { printable } from '../console.ts'
import { readMachine } from '../machine-facts.ts'
import { openMachineLogs } from '../machine-logs.ts'
import { readResources } from '../own-readings.ts'
import { describeTask } from '../provision-report.ts'
import type { ServiceFacts } from '../service-facts.ts'
import { checkRedis } from './check-redis.ts'
import type { Disk, DoctorFacts, ProvisionFailure } from './doctor-facts.ts'
import { findPortHolders } from './port-holders.ts'

/** Looks at everything that can be wrong with a machine. Changes nothing, and waits for nothing for long. */
export async function gatherFacts(plan: Plan, environment: Environment): Promise<DoctorFacts> {
  const { sidecar, services } = await readMachine(plan, plan.services)
  const [logTails, readings, redisProblem] = await Promise.all([
    readLogTails(plan, services, environment),
    readHardware(plan, sidecar),
    findRedisProblem(plan, sidecar, environment),
  ])
  const sessions = new Map(services.map(({ service, pid }) => [pid, service.name]))
  const ports = new Set(
    services.flatMap(({ service, ready }) => (ready || service.port === null ? [] : [service.port])),
  )
  return {
    target: plan.target,
    servicesDirectory: plan.paths.services,
    isSupervised: isScanned(plan.paths.services) || services.some(({ observation }) => observation.supervised),
    sidecar,
    services,
    logTails,
    portHolders: findPortHolders(ports, (session) => sessions.get(session) ?? null),
    missingFiles: new Map(plan.services.map(({ name, requiredFiles }) => [name, requiredFiles.filter(isMissing)])),
    missingPrograms: findMissingPrograms(plan, services, environment),
    gpuCount: plan.simulate ? 0 : plan.gpus.filter(({ mock }) => !mock).length,
    ...readings,
    redisProblem,
    provisionFailures: plan.services.flatMap((service) => findFailure(plan, service)),
    taskProgress: readTaskProgress(plan),
    tokenProblems: findTokenProblems(plan),
  }
}

const isMissing = (path: string): boolean => !existsSync(path)

const SHOWN_LINES = 5
const TROUBLED = new Set(['failed', 'unready', 'waiting', 'starting'])

async function readLogTails(
  plan: Plan,
  services: readonly ServiceFacts[],
  environment: Environment,
): Promise<DoctorFacts['logTails']> {
  const store = openMachineLogs(plan, environment)
  const troubled = services.filter(({ state }) => TROUBLED.has(state))
  const tails = await Promise.all(
    troubled.map(async ({ service: { name } }) => {
      const lines = await store.lastLines(name, SHOWN_LINES).catch(() => [])
      return [name, lines.flatMap(({ message }) => printable(message).split('\n')).slice(-SHOWN_LINES)] as const
    }),
  )
  return new Map(tails)
}

type Hardware = Pick<DoctorFacts, 'gpuProblem' | 'missingGpus'> & { readonly disks: readonly Disk[] }

async function readHardware(plan: Plan, sidecar: SidecarAnswer): Promise<Hardware> {
  const known = sidecar.kind === 'answer' ? sidecar.status : null
  const { gpus, resources } =
    known?.resources == null ? await readResources(plan) : { gpus: known.gpus, resources: known.resources }
  const missingGpus = gpus.filter(({ missing }) => missing).map(({ index }) => index)
  return { gpuProblem: resources.gpuProblem, missingGpus, disks: resources.disks }
}

/** Where the sidecar has a connection, or knows why it has none, nothing is gained by another one. */
async function findRedisProblem(plan: Plan, sidecar: SidecarAnswer, environment: Environment): Promise<string | null> {
  const outbox = sidecar.kind === 'answer' ? sidecar.status.events.outbox : null
  if (outbox?.connected) return null
  return outbox?.problem ?? checkRedis(plan, environment)
}

function findFailure({ paths }: Plan, service: PlannedService): ProvisionFailure[] {
  const progress = service.kind === 'task' ? readProgress(paths, service.name) : null
  if (progress === null || (progress.state === 'done' && progress.problem === null)) return []
  const { task, problem, state } = progress
  if (problem === null || state === 'running') return []
  return [{ task, service: service.name, problem, isOver: state === 'done', optional: service.optional }]
}

function readTaskProgress({ services, paths }: Plan): ReadonlyMap<string, string> {
  const tasks = services.filter(({ kind }) => kind === 'task')
  const told = tasks.map(({ name }) => [name, describeTask(paths, name)] as const)
  return new Map(told.flatMap(([name, text]) => (text === null ? [] : [[name, text] as const])))
}

/** Of those that do not run: one that runs has found its program. */
function findMissingPrograms(
  { services }: Plan,
  facts: readonly ServiceFacts[],
  environment: Environment,
): DoctorFacts['missingPrograms'] {
  const path = `${environment.PATH ?? ''}${delimiter}/usr/local/sbin${delimiter}/usr/sbin${delimiter}/sbin`
  const troubled = services.filter((_, index) => !facts[index]!.ready)
  const programs = troubled.map(({ name, command }) => [name, command[0] ?? ''] as const)
  return new Map(programs.filter(([, program]) => program !== '' && !isProgram(program, path)))
}

function isProgram(program: string, path: string): boolean {
  const places = program.includes('/') ? [program] : path.split(delimiter).map((directory) => `${directory}/${program}`)
  return places.some((place) => {
    try {
      accessSync(place, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** What a header can carry, in a length that nobody guesses: as the sidecar has it. */
const USABLE_TOKEN = /^[\x21-\x7e]{8,4096}$/

/** One that setup has resolved comes first, then the one that the sidecar made; before the first boot there is none. */
function findTokenProblems({ paths, sidecar }: Plan): readonly string[] {
  const files = [
    ...(sidecar.tokenSecret === null ? [] : [`${paths.run}/secrets/${sidecar.tokenSecret}`]),
    apiTokenFile(paths),
  ]
  for (const file of files) {
    const problem = judgeTokenFile(file)
    if (problem !== null) return problem === '' ? [] : [problem]
  }
  return []
}

/** What is wrong with a token file: nothing, in words, or `null` for one that holds no token. */
function judgeTokenFile(file: string): string | null {
  if (!existsSync(file)) return null
  try {
    const token = readFileSync(file, 'utf8').trim()
    if (token === '') return null
    return USABLE_TOKEN.test(token)
      ? ''
      : `the token in "${file}" cannot be used: it needs 8 characters or more, no spaces`
  } catch (error) {
    return `cannot read the token in "${file}": ${(error as Error).message}`
  }
}
