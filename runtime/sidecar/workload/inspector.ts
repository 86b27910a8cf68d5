import type { PlannedService } from '../../../schema/plan.ts'
import type { HttpAsk } from '../probes/http-ask.ts'
import { inspectAutomatic1111 } from './automatic1111.ts'
import { inspectComfyui } from './comfyui.ts'
import { inspectOllama } from './ollama.ts'
import type { Workload } from './workload.ts'

export interface Inspection {
  readonly workload: Workload
  /** Why it will never work again without a restart, although it answers its probe. */
  readonly death: string | null
}

/** Looks into one run of a service, once after each probe that it answered. */
export interface Inspector {
  /**
   * Never throws, and ends by its own timeout; what cannot be read is `null`. `answer`: to the probe just before, which
   * need not be asked for again.
   */
  readonly inspect: (answer?: string) => Promise<Inspection>
  readonly close: () => void
}

export interface InspectorOptions {
  readonly service: InspectedService
  readonly ask: HttpAsk
  /** When the run began, and whether that was just now; else the sidecar found it running. */
  readonly launch: { readonly atMs: number; readonly isFresh: boolean }
}

export type InspectedService = Pick<
  PlannedService,
  'name' | 'type' | 'address' | 'port' | 'probe' | 'liveness' | 'logs' | 'command'
>

const INSPECTORS: Partial<Record<PlannedService['type'], (options: InspectorOptions) => Inspector>> = {
  comfyui: inspectComfyui,
  automatic1111: inspectAutomatic1111,
  ollama: inspectOllama,
}

/** `null` for a type that tells nothing of its work. */
export function createInspector(options: InspectorOptions): Inspector | null {
  return options.service.port === null ? null : (INSPECTORS[options.service.type]?.(options) ?? null)
}
