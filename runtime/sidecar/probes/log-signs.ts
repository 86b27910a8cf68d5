/** What the log of a PyTorch program has shown since its launch. */
export interface LogSigns {
  /** The line of a CUDA fault: the context of the process is broken for good, every later job fails. */
  readonly fault: string | null
  /** Jobs that ran out of GPU memory; the process goes on. */
  readonly outOfMemory: number
  /** Prompts that ComfyUI has finished, also with an error. */
  readonly promptsDone: number
  /** Lines that somebody's work wrote; more of them are a sign of progress. */
  readonly activity: number
  /** The traceback of one job names its lack of memory several times. */
  readonly isWithinOutOfMemory: boolean
}

export const NO_SIGNS: LogSigns = {
  fault: null,
  outOfMemory: 0,
  promptsDone: 0,
  activity: 0,
  isWithinOutOfMemory: false,
}

/**
 * Errors after which only a new process gets a working CUDA context (CUDA runtime API, error codes 700, 702, 710, 714 to
 * 719, 214, 226, 46), and GPUs that the driver has lost. "out of memory" and errors of the set-up are none of them.
 */
const FAULTS = [
  /CUDA error: (an illegal memory access|an illegal instruction|unspecified launch failure|device-side assert)/i,
  /CUDA error: (misaligned address|invalid program counter|operation not supported on global\/shared)/i,
  /CUDA error: (hardware stack error|uncorrectable (ECC|NVLink) error|the launch timed out and was terminated)/i,
  /device-side assert triggered/i,
  /GPU has fallen off the bus|GPU is lost/i,
  /NVRM: Xid \(/,
]

/** PyTorch before and after 2.5, cudaMallocAsync, cuBLAS, ComfyUI itself. */
const OUT_OF_MEMORY =
  /OutOfMemoryError|CUDA(?: error:)? out of memory|Allocation on device|CUBLAS_STATUS_ALLOC_FAILED|Got an OOM/

const PROMPT_DONE = /^Prompt executed in /

/** What clients cause, whether the work goes on or not, and what is written by the way. */
const NOISE =
  /^(got prompt|invalid prompt|Failed to validate prompt|Output will be ignored|FETCH |INFO: +\S+ - ")|^\s*$/

/** A line that is no sign that work goes on. */
export function isNoise(line: string): boolean {
  return NOISE.test(line)
}

/** The signs after more lines, in their order. */
export function readSigns(before: LogSigns, lines: readonly string[]): LogSigns {
  return lines.reduce(readSign, before)
}

function readSign(signs: LogSigns, line: string): LogSigns {
  if (isNoise(line)) return signs
  const active = { ...signs, activity: signs.activity + 1 }
  if (PROMPT_DONE.test(line)) return { ...active, promptsDone: signs.promptsDone + 1, isWithinOutOfMemory: false }
  if (OUT_OF_MEMORY.test(line)) {
    const outOfMemory = signs.outOfMemory + (signs.isWithinOutOfMemory ? 0 : 1)
    return { ...active, outOfMemory, isWithinOutOfMemory: true }
  }
  const fault = signs.fault ?? (findFault(line) ? line.trim().slice(0, 300) : null)
  return { ...active, fault }
}

/** A text that names a CUDA fault. */
export function findFault(text: string): boolean {
  return FAULTS.some((pattern) => pattern.test(text))
}
