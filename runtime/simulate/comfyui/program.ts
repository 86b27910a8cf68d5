/** The parts of a running ComfyUI put together: folders, queue, executor, websockets. */
import { readdirSync } from 'node:fs'
import type { Knobs } from '../knobs.ts'
import { type Executor, openExecutor } from './execute-prompt.ts'
import type { Options } from './flags.ts'
import type { Log } from './log.ts'
import { listModels, type ModelFolders } from './model-folders.ts'
import type { Library } from './node-class.ts'
import { openPromptQueue, type PromptQueue } from './prompt-queue.ts'
import { saveImages } from './save-images.ts'
import { openSockets, type Sockets } from './sockets.ts'
import { type GraphicsMemory, openGraphicsMemory } from './system-stats.ts'

export interface ComfyUi {
  readonly options: Options
  readonly knobs: Knobs
  readonly log: Log
  readonly folders: ModelFolders
  readonly library: Library
  readonly memory: GraphicsMemory
  readonly queue: PromptQueue
  readonly executor: Executor
  readonly sockets: Sockets
}

export function assemble(options: Options, knobs: Knobs, log: Log, folders: ModelFolders): ComfyUi {
  const { directories } = options
  const memory = openGraphicsMemory(knobs.vramBytes)
  const library: Library = {
    models: (type) => listModels(folders, type) ?? [],
    inputImages: () => listFiles(directories.input),
    inputDirectory: directories.input,
  }
  const status = () => ({ exec_info: { queue_remaining: queue.remaining() } })
  const sockets = openSockets({
    greet: (sid) => {
      const { clientId, nodeId } = executor.current()
      const first = { type: 'status', data: { status: status(), sid } }
      return clientId === sid && nodeId !== undefined ? [first, { type: 'executing', data: { node: nodeId } }] : [first]
    },
    features: () => features(options),
  })
  const executor = openExecutor({
    knobs,
    log,
    library,
    cacheNodes: options.cacheNodes,
    send: sockets.send,
    loadModel: memory.load,
    unloadModels: memory.unload,
    saveImages: (picture, prefix, kind, { prompt, extraData }) => {
      const extra = (extraData.extra_pnginfo ?? {}) as Record<string, unknown>
      const texts = options.saveMetadata ? { prompt, ...extra } : {}
      const encoded = Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, JSON.stringify(value)]))
      return saveImages(picture, prefix, kind, directories[kind], encoded)
    },
  })
  const queue = openPromptQueue({
    execute: executor.execute,
    finished: ({ id }) => {
      const { clientId } = executor.current()
      if (clientId !== undefined) sockets.send('executing', { node: null, prompt_id: id }, clientId)
    },
    changed: () => sockets.send('status', { status: status() }),
  })
  return { options, knobs, log, folders, library, memory, queue, executor, sockets }
}

/** What GET /features and the `feature_flags` message say. */
export function features({ maxUploadBytes }: Options): unknown {
  return { supports_preview_metadata: true, max_upload_size: maxUploadBytes }
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort()
  } catch {
    return []
  }
}
