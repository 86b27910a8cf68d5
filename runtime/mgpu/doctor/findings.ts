import { describeExit } from '../../shared/process-exit.ts'
import { formatBytes, formatDuration } from '../format.ts'
import type { ServiceFacts } from '../service-facts.ts'
import type { DoctorFacts } from './doctor-facts.ts'
import { commandFor, explainWait } from './explain-wait.ts'
import type { PortHolder } from './port-holders.ts'

/** `error`: the machine does not do all that it should; `warning`: it may soon not; `note`: good to know. */
export type Severity = 'error' | 'warning' | 'note'

export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** The service that it is about; `null`: the machine. */
  readonly service: string | null
  readonly text: string
  /** What to do. */
  readonly next: string
  /** The end of a log, where that says more. */
  readonly log: readonly string[]
}

export type FindingCode =
  | 'NO_SUPERVISOR'
  | 'SIDECAR_SILENT'
  | 'GAVE_UP'
  | 'RESTARTING'
  | 'NOT_SUPERVISED'
  | 'UNREADY'
  | 'SLOW_START'
  | 'WAITING'
  | 'STOPPED'
  | 'PORT_TAKEN'
  | 'MISSING_FILE'
  | 'MISSING_PROGRAM'
  | 'GPU_UNREADABLE'
  | 'GPU_MISSING'
  | 'DISK_FULL'
  | 'REDIS_UNREACHABLE'
  | 'PROVISION_FAILED'
  | 'TOKEN_UNUSABLE'

type Draft = Omit<Finding, 'log' | 'service'> & Partial<Pick<Finding, 'log' | 'service'>>

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'note']

/** All that is wrong with a machine by these facts, the worst first. Pure. */
export function findProblems(facts: DoctorFacts): readonly Finding[] {
  const drafts: Draft[] = facts.isSupervised
    ? [...sidecarProblems(facts), ...facts.services.flatMap((service) => serviceProblems(service, facts))]
    : [noSupervisor(facts)]
  const all = [
    ...drafts,
    ...facts.services.flatMap((service) => missingParts(service, facts)),
    ...facts.services.flatMap((service) => portProblems(service, facts)),
    ...gpuProblems(facts),
    ...diskProblems(facts),
    ...redisProblems(facts),
    ...provisionProblems(facts),
    ...facts.tokenProblems.map(tokenProblem),
  ]
  const findings = all.map((draft): Finding => ({ service: null, log: [], ...draft }))
  return SEVERITIES.flatMap((severity) => findings.filter((finding) => finding.severity === severity))
}

function noSupervisor({ target, servicesDirectory }: DoctorFacts): Draft {
  const text = `nothing supervises the machine: no s6-svscan runs on "${servicesDirectory}"`
  const next =
    target === 'local'
      ? 'start it with "machinegen up"'
      : 'the container has not booted, or its boot failed: "docker logs" shows why; start the container again'
  return { code: 'NO_SUPERVISOR', severity: 'error', text, next }
}

function sidecarProblems({ sidecar, services }: DoctorFacts): Draft[] {
  if (sidecar.kind === 'answer') return []
  const facts = services.find(({ service }) => service.type === 'sidecar')
  const isUp = facts?.pid != null
  const text = `the sidecar does not answer: ${sidecar.why}. Nothing opens gates, restarts what hangs, or tells Redis`
  const next = isUp
    ? 'mgpu sidecar logs; mgpu sidecar restart'
    : 'mgpu sidecar start; mgpu sidecar logs shows why it ended'
  return [{ code: 'SIDECAR_SILENT', severity: 'error', service: facts?.service.name ?? 'sidecar', text, next }]
}

function serviceProblems(facts: ServiceFacts, all: DoctorFacts): Draft[] {
  const { service, state, reason } = facts
  // Without its answer, the sidecar is a finding of its own.
  if (service.type === 'sidecar' && all.sidecar.kind === 'silent') return []
  const { name, optional } = service
  const because = reason === null ? '' : `: ${reason}`
  const severity = optional ? 'warning' : 'error'
  const log = all.logTails.get(name) ?? []
  const start = commandFor('start', service)
  if (!facts.observation.supervised) {
    const next = 'the machine file may have changed since the boot: start the machine again'
    return [{ code: 'NOT_SUPERVISED', severity, service: name, text: `${name}: no supervisor looks after it`, next }]
  }
  if (state === 'failed') {
    const next = `find the cause in its log (${commandFor('logs', service)}), then: ${start}`
    return [{ code: 'GAVE_UP', severity, service: name, text: `${name} was given up${because}`, next, log }]
  }
  if (state === 'unready') {
    const next = `the sidecar restarts it when that lasts; at once: ${commandFor('restart', service)}`
    return [{ code: 'UNREADY', severity, service: name, text: `${name} runs and does not work${because}`, next, log }]
  }
  if (state === 'down') {
    const severityOfStop = reason === null ? severity : 'note'
    return [
      { code: 'STOPPED', severity: severityOfStop, service: name, text: `${name} is down${because}`, next: start },
    ]
  }
  if (state === 'waiting') return waitProblems(facts, all, log)
  return state === 'starting' ? slowStart(facts, log) : []
}

function waitProblems(facts: ServiceFacts, all: DoctorFacts, log: readonly string[]): Draft[] {
  const { service, observation, reason } = facts
  const last = observation.deaths.at(-1)
  const blockers = service.waitsFor.filter(
    (name) => all.services.find((one) => one.service.name === name)?.ready === false,
  )
  if (blockers.length > 0) {
    const text = `${service.name} waits ${explainWait(service.name, all)}`
    const next = `it starts by itself once ${blockers.join(', ')} ${blockers.length === 1 ? 'is' : 'are'} ready`
    return [{ code: 'WAITING', severity: 'warning', service: service.name, text, next }]
  }
  if (last === undefined) return []
  const count = observation.deaths.length
  const text = `${service.name} died ${count === 1 ? 'once' : `${count} times`}, the last time by ${describeExit(last.exit)}${reason === null ? '' : `: ${reason}`}`
  const severity = service.optional ? 'warning' : 'error'
  return [{ code: 'RESTARTING', severity, service: service.name, text, next: commandFor('logs', service), log }]
}

function slowStart({ service, uptimeMs, reason }: ServiceFacts, log: readonly string[]): Draft[] {
  if (service.kind === 'task' || uptimeMs === null || uptimeMs < service.startupTimeoutMs / 2) return []
  const limit = formatDuration(service.startupTimeoutMs)
  const text = `${service.name} has been starting for ${formatDuration(uptimeMs)}; after ${limit} it is restarted${reason === null ? '' : `: ${reason}`}`
  const next = `see what it does (${commandFor('logs', service)}); where it only needs longer, raise "startup.timeout" in the machine file`
  return [{ code: 'SLOW_START', severity: 'warning', service: service.name, text, next, log }]
}

function missingParts({ service }: ServiceFacts, { missingFiles, missingPrograms }: DoctorFacts): Draft[] {
  const { name, optional } = service
  const severity = optional ? ('warning' as const) : ('error' as const)
  const files = (missingFiles.get(name) ?? []).map((file): Draft => {
    const next = 'install it, or correct the path in the machine file; it is looked for at each start'
    return {
      code: 'MISSING_FILE',
      severity,
      service: name,
      text: `${name} needs "${file}", which does not exist`,
      next,
    }
  })
  const program = missingPrograms.get(name)
  if (program === undefined) return files
  const text = `${name} runs "${program}", which is not installed`
  return [...files, { code: 'MISSING_PROGRAM', severity, service: name, text, next: 'install it in the image' }]
}

function portProblems(facts: ServiceFacts, { portHolders }: DoctorFacts): Draft[] {
  const { service, ready, pid } = facts
  const holder = service.port === null ? undefined : portHolders.get(service.port)
  if (ready || holder === undefined || (pid !== null && holder.session === pid)) return []
  const text = `port ${service.port} of ${service.name} is taken by ${describeHolder(holder)}`
  const next =
    holder.pid === null
      ? 'stop whoever has it, or give the service another port in the machine file'
      : `stop it (kill ${holder.pid}), or give the service another port in the machine file`
  const severity = service.optional ? 'warning' : 'error'
  return [{ code: 'PORT_TAKEN', severity, service: service.name, text, next }]
}

function describeHolder({ pid, command, service }: PortHolder): string {
  if (pid === null) return 'a process that cannot be seen from here'
  return `process ${pid} (${command})${service === null ? '' : `, which belongs to ${service}`}`
}

function gpuProblems({ gpuProblem, missingGpus, gpuCount }: DoctorFacts): Draft[] {
  if (gpuCount === 0) return []
  const driver: Draft[] =
    gpuProblem === null
      ? []
      : [
          {
            code: 'GPU_UNREADABLE',
            severity: 'error',
            text: `the GPUs cannot be read: ${gpuProblem}`,
            next: 'run nvidia-smi here and on the host; a container needs the GPUs (--gpus all) and the driver of the host',
          },
        ]
  if (missingGpus.length === 0) return driver
  const text = `the plan has ${gpuCount} GPUs, and the driver does not show GPU ${missingGpus.join(', ')}`
  const next =
    'give the container that GPU, or set "machine.gpu.count" to what is there; a GPU that was lost needs a reset or a reboot'
  return [...driver, { code: 'GPU_MISSING', severity: 'error', text, next }]
}

const GIBIBYTE = 1024 ** 3
const FEW_INODES = 1000

function diskProblems({ disks }: DoctorFacts): Draft[] {
  return disks.flatMap(({ path, freeBytes, totalBytes, freeInodes }): Draft[] => {
    const isFull = freeBytes < GIBIBYTE || (freeInodes ?? FEW_INODES) < FEW_INODES
    if (!isFull && freeBytes >= totalBytes * 0.05) return []
    const files = (freeInodes ?? FEW_INODES) < FEW_INODES ? `, and room for ${freeInodes} files` : ''
    const text = `the disk of "${path}" is nearly full: ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free${files}`
    const next = 'remove outputs or models that nobody needs; "du -xh --max-depth=2" shows where it went'
    return [{ code: 'DISK_FULL', severity: isFull ? 'error' : 'warning', text, next }]
  })
}

function redisProblems({ redisProblem }: DoctorFacts): Draft[] {
  if (redisProblem === null) return []
  const next = 'check redis.url and the network; events wait on the disk until it can be reached, jobs do not come'
  return [{ code: 'REDIS_UNREACHABLE', severity: 'error', text: redisProblem, next }]
}

function provisionProblems({ provisionFailures }: DoctorFacts): Draft[] {
  return provisionFailures.map(({ task, service, problem, isOver, optional }) => {
    const again = isOver
      ? `to try again: mgpu ${service} start`
      : `it is tried again by itself; at once: mgpu ${service} restart`
    const next = `${again}; what is missing: ${LISTS[task] ?? `mgpu ${service} logs`}`
    const severity = optional || isOver ? 'warning' : 'error'
    return { code: 'PROVISION_FAILED', severity, service, text: `${task}: ${problem}`, next }
  })
}

const LISTS: Readonly<Record<string, string>> = {
  models: 'mcomfy models',
  'models-background': 'mcomfy models',
  'custom-nodes': 'mcomfy nodes',
}

const tokenProblem = (text: string): Draft => ({
  code: 'TOKEN_UNUSABLE',
  severity: 'warning',
  text,
  next: 'until then nobody can change anything through the API; mgpu needs no token',
})
