import { automatic1111 } from './automatic1111.ts'
import { comfyui } from './comfyui.ts'
import { custom } from './custom.ts'
import { nginx } from './nginx.ts'
import { ollama } from './ollama.ts'
import { redisWorker } from './redis-worker.ts'
import type { ServiceKind } from './service-type.ts'

/** The built-in types, in the order in which the tables of commands show them. */
export const BUILT_IN_KINDS: readonly ServiceKind[] = [nginx, comfyui, automatic1111, ollama, redisWorker]

export function kindOf(key: string): ServiceKind {
  return BUILT_IN_KINDS.find((kind) => kind.key === key) ?? custom
}
