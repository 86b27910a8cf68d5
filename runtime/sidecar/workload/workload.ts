/** What a service is busy with, beside being ready; `null` is what its type does not tell. */
export interface Workload {
  readonly atMs: number
  /** ComfyUI: prompts that run now, that wait, that were finished since it started. Automatic1111: whether a job runs. */
  readonly queueRunning: number | null
  readonly queuePending: number | null
  readonly promptsDone: number | null
  /** Ollama, Automatic1111: models in memory, and on disk. */
  readonly modelsLoaded: readonly string[] | null
  readonly modelsAvailable: readonly string[] | null
  /** Workers: what Redis says of them. */
  readonly jobsProcessed: number | null
  readonly currentJob: string | null
  /** Jobs that ran out of GPU memory since it started. */
  readonly outOfMemoryCount: number | null
}

/** A workload of which only these fields are known. */
export function knownWorkload(known: Partial<Workload> & { readonly atMs: number }): Workload {
  return {
    queueRunning: null,
    queuePending: null,
    promptsDone: null,
    modelsLoaded: null,
    modelsAvailable: null,
    jobsProcessed: null,
    currentJob: null,
    outOfMemoryCount: null,
    ...known,
  }
}
