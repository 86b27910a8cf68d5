/** GET /system_stats and the start-up lines: what ComfyUI v0.3.64 says of the machine. */
import { freemem, totalmem } from 'node:os'
import type { Knobs } from '../knobs.ts'
import type { Options } from './flags.ts'

export const COMFYUI_VERSION = '0.3.64'
export const FRONTEND_VERSION = '1.27.10'
const TEMPLATES_VERSION = '0.1.94'
export const PYTHON_VERSION = '3.12.3 (main, Aug 14 2025, 17:47:21) [GCC 13.3.0]'
const MIB = 1024 ** 2
/** What a CUDA context costs before anything is loaded. */
const CONTEXT_BYTES = 430 * MIB
/** A model of the usual size in fp16 (SDXL). */
const MODEL_BYTES = 5_136 * MIB

export interface GraphicsMemory {
  load(name: string): void
  unload(): void
  /** Bytes that models take now. */
  usedBytes(): number
}

/** Counts the models that are loaded: a model twice is one. */
export function openGraphicsMemory(totalBytes: number): GraphicsMemory {
  const loaded = new Set<string>()
  return {
    load: (name) => void loaded.add(name),
    unload: () => loaded.clear(),
    usedBytes: () => Math.min(loaded.size * MODEL_BYTES, Math.max(0, totalBytes - CONTEXT_BYTES)),
  }
}

export const torchVersion = (cpu: boolean) => (cpu ? '2.8.0+cpu' : '2.8.0+cu128')

export function systemStats(options: Options, knobs: Knobs, memory: GraphicsMemory): unknown {
  return {
    system: {
      os: 'posix',
      ram_total: totalmem(),
      ram_free: freemem(),
      comfyui_version: COMFYUI_VERSION,
      required_frontend_version: FRONTEND_VERSION,
      installed_templates_version: TEMPLATES_VERSION,
      required_templates_version: TEMPLATES_VERSION,
      python_version: PYTHON_VERSION,
      pytorch_version: torchVersion(options.cpu),
      embedded_python: false,
      argv: options.argv,
    },
    devices: [options.cpu ? cpuDevice() : cudaDevice(knobs, memory)],
  }
}

/** On the CPU the memory is the machine's, and there is no index. */
function cpuDevice(): unknown {
  const [total, free] = [totalmem(), freemem()]
  const memory = { vram_total: total, vram_free: free, torch_vram_total: total, torch_vram_free: free }
  return { name: 'cpu', type: 'cpu', index: null, ...memory }
}

function cudaDevice(knobs: Knobs, memory: GraphicsMemory): unknown {
  const used = memory.usedBytes()
  return {
    name: deviceName(knobs),
    type: 'cuda',
    // --cuda-device leaves one card visible, which is then number 0 whatever it was before.
    index: 0,
    vram_total: knobs.vramBytes,
    vram_free: Math.max(0, knobs.vramBytes - CONTEXT_BYTES - used),
    torch_vram_total: used,
    torch_vram_free: 0,
  }
}

const deviceName = (knobs: Knobs) => `cuda:0 ${knobs.gpuModel} : cudaMallocAsync`

/** The lines that the real program logs while it loads, with what an operator looks for in them. */
export function startupLines(options: Options, knobs: Knobs): string[] {
  const megabytes = (bytes: number) => Math.trunc(bytes / MIB)
  const vram = options.cpu ? totalmem() : knobs.vramBytes
  return [
    ...(options.cudaDevice === undefined ? [] : [`Set cuda device to: ${options.cudaDevice}`]),
    'Checkpoint files will always be loaded safely.',
    `Total VRAM ${megabytes(vram)} MB, total RAM ${megabytes(totalmem())} MB`,
    `pytorch version: ${torchVersion(options.cpu)}`,
    `Set vram state to: ${options.cpu ? 'DISABLED' : 'NORMAL_VRAM'}`,
    `Device: ${options.cpu ? 'cpu' : deviceName(knobs)}`,
    options.cpu
      ? 'Using sub quadratic optimization for attention, if you have memory or speed issues try using: --use-split-cross-attention'
      : 'Using pytorch attention',
    `Python version: ${PYTHON_VERSION}`,
    `ComfyUI version: ${COMFYUI_VERSION}`,
    `ComfyUI frontend version: ${FRONTEND_VERSION}`,
    '[Prompt Server] web root: simulated',
  ]
}
