/**
 * What a test can ask of a stand-in, by environment variables; the table is in README.md of this directory.
 * A general name (`SIMULATE_STEP_MS`) is overridden by the program's (`SIMULATE_STEP_MS_COMFYUI`), and that by the
 * instance's (`SIMULATE_STEP_MS_COMFYUI_GPU1`, where `SIMULATE_INSTANCE=comfyui-gpu1`).
 */

export interface Knobs {
  readonly startupMs: number
  /** `1`, or a path: then the program crashes at start as long as that file exists. */
  readonly crashAtStart: string | undefined
  readonly crashAfterMs: number | undefined
  /** Above 128 the program really dies of signal `exitCode - 128`, as a shell would report it. */
  readonly exitCode: number
  readonly hangAfterMs: number | undefined
  readonly slowMs: number
  readonly oomEvery: number | undefined
  readonly cudaFaultAfter: number | undefined
  readonly stallAfterMs: number | undefined
  readonly stepMs: number
  readonly ignoreStop: boolean
  readonly leaveChild: boolean
  readonly vramBytes: number
  readonly gpuModel: string
  readonly modelBytes: number
}

type Environment = Readonly<Record<string, string | undefined>>

const GIB = 1024 ** 3
/** What PyTorch reports for a 24 GB RTX 4090. */
const RTX_4090_BYTES = 25_393_692_672
/** Large enough for several progress lines of a pull, small enough for a CI disk. */
const MODEL_BYTES = 4 * 1024 ** 2

const lookUp = (environment: Environment, program: string, name: string): string | undefined => {
  const suffix = (text: string) => `_${text.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`
  const instance = environment.SIMULATE_INSTANCE
  const names = [...(instance ? [name + suffix(instance)] : []), name + suffix(program), name]
  for (const candidate of names) {
    const value = environment[candidate]
    if (value !== undefined && value !== '') return value
  }
  return undefined
}

function readNumber(environment: Environment, program: string, name: string): number | undefined {
  const text = lookUp(environment, program, name)
  if (text === undefined) return undefined
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`cannot read ${name}: "${text}" is not a number of 0 or more`)
  return Number(text)
}

/**
 * The knobs of one program (`comfyui`, `automatic1111`, ...) from an environment.
 * Throws when a number is not one, so that a typing error in a test is not taken for good behaviour.
 */
export function readKnobs(program: string, environment: Environment): Knobs {
  const number = (name: string) => readNumber(environment, program, `SIMULATE_${name}`)
  const text = (name: string) => lookUp(environment, program, `SIMULATE_${name}`)
  const isOn = (name: string) => !['0', 'false', undefined].includes(text(name))
  return {
    startupMs: number('STARTUP_MS') ?? 0,
    crashAtStart: isOn('CRASH_AT_START') ? text('CRASH_AT_START') : undefined,
    crashAfterMs: number('CRASH_AFTER_MS'),
    exitCode: number('EXIT_CODE') ?? 1,
    hangAfterMs: number('HANG_AFTER_MS'),
    slowMs: number('SLOW_MS') ?? 0,
    oomEvery: number('OOM_EVERY') || undefined,
    cudaFaultAfter: number('CUDA_FAULT_AFTER'),
    stallAfterMs: number('STALL_AFTER_MS'),
    stepMs: number('STEP_MS') ?? 20,
    ignoreStop: isOn('IGNORE_TERM'),
    leaveChild: isOn('LEAVE_CHILD'),
    vramBytes: number('VRAM_BYTES') ?? RTX_4090_BYTES,
    gpuModel: text('GPU_MODEL') ?? 'NVIDIA GeForce RTX 4090',
    modelBytes: number('MODEL_BYTES') ?? MODEL_BYTES,
  }
}

/** The message PyTorch gives when an allocation does not fit; `totalBytes` is the card's memory. */
export function outOfMemoryMessage(totalBytes: number): string {
  const total = (totalBytes / GIB).toFixed(2)
  return (
    `CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ${total} GiB of which 312.06 MiB is ` +
    'free. Including non-PyTorch memory, this process has 22.91 GiB memory in use. Of the allocated memory 21.80 GiB is ' +
    'allocated by PyTorch, and 687.25 MiB is reserved by PyTorch but unallocated.'
  )
}

/** The message of a CUDA context that is broken for good: every later call of the process fails with it too. */
export const CUDA_FAULT_MESSAGE =
  'CUDA error: an illegal memory access was encountered\n' +
  'CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be ' +
  'incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n' +
  'Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n'
