/** What a service is busy with, beside being ready; `null` is what its type does not tell. */
export interface Workload {
  readonly atMs: number
  /** ComfyUI: prompts that run now, that wait, that were finished since it started. */
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
