import type { PlannedGpu } from '../../../schema/plan.ts'
import type { XidCounter } from './kernel-log.ts'
import { matchGpus } from './match-gpus.ts'
import {
  GPU_FIELDS,
  type GpuField,
  type GpuProcess,
  PROCESS_FIELDS,
  parseGpuTable,
  parseMigDevices,
  parseProcesses,
  unknownField,
} from './parse-nvidia-smi.ts'
import type { ResourceSnapshot } from './resource-snapshot.ts'
import type { NvidiaSmi } from './run-nvidia-smi.ts'

export type GpuSurvey = Pick<ResourceSnapshot, 'gpus' | 'gpuProblem' | 'missingGpus'>

export interface GpuSurveyor {
  /** Asks nvidia-smi now. Never throws. Where nothing can be known, no GPU counts as missing. */
  readonly survey: () => Promise<GpuSurvey>
  /** Processes that hold GPU memory; `null` where that cannot be known. */
  readonly processes: () => Promise<readonly GpuProcess[] | null>
}

const FORMAT = '--format=csv,noheader,nounits'

export function createGpuSurveyor(planned: readonly PlannedGpu[], run: NvidiaSmi, xid: XidCounter): GpuSurveyor {
  let fields: readonly GpuField[] = GPU_FIELDS
  const usesMig = planned.some(({ device }) => device.startsWith('MIG-'))

  /** An old version refuses the whole question for one field that it does not know. */
  const queryGpus = async () => {
    for (;;) {
      const output = await run([`--query-gpu=${fields.join(',')}`, FORMAT])
      const unknown = output.kind === 'text' ? unknownField(output.text) : null
      const left = fields.filter((field) => field !== unknown)
      if (left.length === fields.length) return output
      fields = left
    }
  }

  const survey = async (): Promise<GpuSurvey> => {
    const output = await queryGpus()
    if (output.kind === 'none') return { gpus: [], gpuProblem: output.problem, missingGpus: [] }
    const { rows, problem } = parseGpuTable(output.text, fields)
    const list = usesMig ? await run(['-L']) : null
    const migParents = parseMigDevices(list?.kind === 'text' ? list.text : '')
    xid.poll()
    const { gpus, missing } = matchGpus(planned, rows, migParents, xid.count)
    // Without a row and with a complaint the driver is what is missing.
    const isBlind = rows.length === 0 && problem !== null
    return { gpus, gpuProblem: problem, missingGpus: isBlind ? [] : missing }
  }

  return {
    survey,
    processes: async () => {
      const output = await run([`--query-compute-apps=${PROCESS_FIELDS.join(',')}`, FORMAT])
      return output.kind === 'none' ? null : parseProcesses(output.text)
    },
  }
}
