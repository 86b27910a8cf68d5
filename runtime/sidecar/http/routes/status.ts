import { describePhase } from '../../../shared/boot-phases.ts'
import { machineHealth } from '../../health.ts'
import { machinePhases } from '../../phases.ts'
import type { BootRecord } from '../../state/boot-history.ts'
import { json } from '../answer.ts'
import { describeService, isoTime } from '../describe-service.ts'
import { endpoint, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import type { createUsageReader } from '../process-usage.ts'

/** `/status`, all of the machine in one answer, and `/version`. */
export function statusRoutes(parts: HttpParts, usageOf: ReturnType<typeof createUsageReader>): readonly Route[] {
  const { view } = parts
  return [
    { path: '/status', methods: { GET: endpoint({ query: {}, run: () => json(200, status(parts, usageOf)) }) } },
    {
      path: '/version',
      methods: { GET: endpoint({ anyHost: true, query: {}, run: () => json(200, version(view)) }) },
    },
  ]
}

function status({ view }: HttpParts, usageOf: ReturnType<typeof createUsageReader>): object {
  const { plan } = view
  const machine = view.machine()
  const nowMs = view.nowMs()
  const { healthy, ready, phase, unhealthy, degraded, stopped } = machineHealth(machine, nowMs)
  const outbox = view.outbox()
  const services = [...machine.services.values()].map((record) => {
    const described = describeService(record, nowMs)
    const usage = described.pid === null ? null : usageOf(described.pid)
    return [
      described.name,
      {
        ...described,
        // The first machines' word for it.
        status: described.pm2_status,
        cpu: usage?.cpu ?? null,
        memory: usage?.memory ?? null,
        workload: view.workload(described.name),
      },
    ]
  })
  return {
    machine: plan.machine.id,
    machine_id: plan.machine.id,
    bootId: view.bootId,
    healthy,
    ready,
    state: phase,
    unhealthy,
    degraded,
    stopped,
    version: view.version,
    target: plan.target,
    uptime: Math.round(nowMs - machine.startedAtMs),
    timestamp: isoTime(nowMs),
    services: Object.fromEntries(services),
    gpus: gpus(view),
    resources: resources(view),
    phases: machinePhases(plan, machine).map(describePhase),
    boots: machine.boots.slice(-SHOWN_BOOTS).map(describeBoot),
    events: { lastSeq: view.journal()?.lastSeq() ?? null, outbox },
  }
}

/** The boots that are remembered go back further than anybody reads. */
const SHOWN_BOOTS = 10

function describeBoot({ id, startedAtMs, readyAtMs, readyAfterMs, endedAtMs, ended }: BootRecord): object {
  const time = (ms: number | null) => (ms === null ? null : isoTime(ms))
  return {
    id,
    startedAt: isoTime(startedAtMs),
    readyAt: time(readyAtMs),
    readyAfterMs,
    endedAt: time(endedAtMs),
    ended,
  }
}

/** What the plan says of each GPU, beside what was read of it last. */
function gpus({ plan, resources }: HttpParts['view']): object[] {
  const snapshot = resources()
  return plan.gpus.map((gpu) => ({
    index: gpu.index,
    device: gpu.device,
    model: gpu.model,
    memoryBytes: gpu.memoryBytes,
    mock: gpu.mock,
    missing: snapshot?.missingGpus.includes(gpu.index) ?? false,
    reading: snapshot?.gpus.find(({ index }) => index === gpu.index) ?? null,
  }))
}

function resources(view: HttpParts['view']): object | null {
  const snapshot = view.resources()
  if (snapshot === null) return null
  const { atMs, gpuProblem, cpu, memory, disks } = snapshot
  return { at: isoTime(atMs), gpuProblem, cpu, memory, disks }
}

function version({ plan, version: own, nowMs, machine }: HttpParts['view']): object {
  return {
    version: own,
    machine_version: own,
    machine: plan.machine.id,
    target: plan.target,
    node: process.version,
    node_version: process.version,
    platform: process.platform,
    arch: process.arch,
    uptime_seconds: Math.round((nowMs() - machine().startedAtMs) / 1000),
    timestamp: isoTime(nowMs()),
  }
}
