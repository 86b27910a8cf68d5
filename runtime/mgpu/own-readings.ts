import { availableParallelism, freemem, totalmem } from 'node:os'
import type { Plan } from '../../schema/plan.ts'
import { createDiskReader } from '../sidecar/resources/disks.ts'
import { createNvidiaSmi } from '../sidecar/resources/run-nvidia-smi.ts'
import { simulateNvidiaSmi } from '../sidecar/resources/simulated-nvidia-smi.ts'
import { createGpuSurveyor } from '../sidecar/resources/survey-gpus.ts'
import type { SidecarGpu, SidecarResources } from './ask-sidecar.ts'

export interface OwnReadings {
  readonly gpus: readonly SidecarGpu[]
  readonly resources: SidecarResources
}

/** GPUs, memory and disks as this process sees them, for a machine whose sidecar is silent. */
export async function readResources(plan: Plan): Promise<OwnReadings> {
  const isMock = plan.gpus.every(({ mock }) => mock)
  const run = isMock ? simulateNvidiaSmi(plan.gpus, () => 0) : createNvidiaSmi()
  const noXid = { poll: () => {}, count: () => null, close: () => {} }
  const [survey, disks] = await Promise.all([
    createGpuSurveyor(plan.gpus, run, noXid).survey(),
    createDiskReader([plan.paths.workspace, plan.paths.root])(),
  ])
  const gpus = plan.gpus.map(({ index, model }) => ({
    index,
    model,
    missing: survey.missingGpus.includes(index),
    reading: survey.gpus.find((gpu) => gpu.index === index) ?? null,
  }))
  const memory = { totalBytes: totalmem(), usedBytes: totalmem() - freemem() }
  const cpu = { cores: availableParallelism(), usedCores: null }
  return { gpus, resources: { gpuProblem: survey.gpuProblem, cpu, memory, disks } }
}
