/** Images one after the other under one lock, and the state that /sdapi/v1/progress shows meanwhile (modules/shared_state.py). */
import { setTimeout as sleep } from 'node:timers/promises'
import { CUDA_FAULT_MESSAGE, type Knobs, outOfMemoryMessage } from '../knobs.ts'
import { encodePng } from '../png.ts'

export interface Job {
  readonly width: number
  readonly height: number
  readonly steps: number
  readonly batchSize: number
  /** Number of batches. */
  readonly iterations: number
  readonly seed: number
  readonly name: string
  readonly infotext: (seed: number) => string
}

export interface Generator {
  /** The images of a job. Throws a `GenerationFailure` where the knobs want one. */
  generate(job: Job): Promise<Buffer[]>
  progress(withImage: boolean): unknown
  interrupt(): void
  skip(): void
  /** What PyTorch says of the card: failed allocations so far, and the error of a context that is broken for good. */
  cuda(): { readonly outOfMemory: number; readonly error: string | undefined }
}

/** An exception of the Python side: its class name and text are what the API shows. */
export interface GenerationFailure {
  readonly pythonClass: string
  readonly message: string
}

interface State {
  skipped: boolean
  interrupted: boolean
  job: string
  jobCount: number
  jobTimestamp: string
  jobNumber: number
  step: number
  steps: number
  startedMs: number
  image: Buffer | undefined
}

const idle = (): State => ({
  skipped: false,
  interrupted: false,
  job: '',
  jobCount: 0,
  jobTimestamp: '0',
  jobNumber: 0,
  step: 0,
  steps: 0,
  startedMs: 0,
  image: undefined,
})

export function openGenerator(knobs: Knobs): Generator {
  const startedMs = performance.now()
  let state = idle()
  let lock: Promise<unknown> = Promise.resolve()
  let count = 0
  let outOfMemory = 0
  let error: string | undefined

  async function step(): Promise<void> {
    const { stallAfterMs, stepMs } = knobs
    if (stallAfterMs !== undefined && performance.now() - startedMs >= stallAfterMs) await new Promise(() => {})
    await sleep(stepMs)
  }

  async function run(job: Job): Promise<Buffer[]> {
    count += 1
    state = {
      ...idle(),
      job: job.name,
      jobCount: job.iterations,
      jobTimestamp: timestamp(),
      startedMs: performance.now(),
    }
    try {
      await step()
      const fault = faultOf(knobs, count)
      if (fault?.pythonClass === 'OutOfMemoryError') outOfMemory += 1
      else error ??= fault?.message
      if (fault) throw fault
      const images: Buffer[] = []
      for (let index = 0; index < job.iterations && !state.interrupted; index++) {
        await sample(job, index)
        for (let place = 0; place < job.batchSize; place++) {
          const seed = job.seed + index * job.batchSize + place
          images.push(encodePng(job.width, job.height, `${seed}`, { parameters: job.infotext(seed) }))
        }
        state.image = images.at(-1)
      }
      return images
    } finally {
      state = { ...state, job: '', jobCount: 0 }
    }
  }

  async function sample(job: Job, index: number): Promise<void> {
    Object.assign(state, { jobNumber: index, steps: job.steps, step: 0, skipped: false })
    for (let done = 1; done <= job.steps && !state.interrupted && !state.skipped; done++) {
      await step()
      state.step = done
    }
  }

  return {
    generate(job) {
      const result = lock.then(() => run(job))
      lock = result.catch(() => {})
      return result
    },
    progress: (withImage) => describeProgress(state, withImage),
    interrupt: () => {
      state.interrupted = true
    },
    skip: () => {
      state.skipped = true
    },
    cuda: () => ({ outOfMemory, error }),
  }
}

function faultOf(knobs: Knobs, count: number): GenerationFailure | undefined {
  if (knobs.cudaFaultAfter !== undefined && count >= knobs.cudaFaultAfter) {
    return { pythonClass: 'RuntimeError', message: CUDA_FAULT_MESSAGE }
  }
  if (knobs.oomEvery !== undefined && count % knobs.oomEvery === 0) {
    return { pythonClass: 'OutOfMemoryError', message: outOfMemoryMessage(knobs.vramBytes) }
  }
  return undefined
}

/** The arithmetic of `progressapi`: 0 when idle, else at least 0.01. */
function describeProgress(state: State, withImage: boolean): unknown {
  const shown = {
    skipped: state.skipped,
    interrupted: state.interrupted,
    job: state.job,
    job_count: state.jobCount,
    job_timestamp: state.jobTimestamp,
    job_no: state.jobNumber,
    sampling_step: state.step,
    sampling_steps: state.steps,
  }
  if (state.jobCount === 0) {
    return { progress: 0, eta_relative: 0, state: shown, current_image: null, textinfo: null }
  }
  const withinJob = state.steps > 0 ? state.step / state.steps / state.jobCount : 0
  const progress = 0.01 + state.jobNumber / state.jobCount + withinJob
  const elapsedSeconds = (performance.now() - state.startedMs) / 1000
  return {
    progress: Math.min(progress, 1),
    eta_relative: elapsedSeconds / progress - elapsedSeconds,
    state: shown,
    current_image: withImage && state.image ? state.image.toString('base64') : null,
    textinfo: null,
  }
}

/** Local time as the web UI writes it: 20260131235959. */
function timestamp(): string {
  return new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)
}
