import { dig, namesIn, openQuestions } from './ask-json.ts'
import type { Inspector, InspectorOptions } from './inspector.ts'
import { knownWorkload } from './workload.ts'

/**
 * Ollama: models in memory (`/api/ps`) and on disk (`/api/tags`). It runs its models in processes of their own and replaces
 * those that die of a CUDA fault or of too little memory, so that neither says anything of its own life.
 */
export function inspectOllama({ service, ask }: InspectorOptions): Inspector {
  const inspect: Inspector['inspect'] = async () => {
    const questions = openQuestions(service, ask)
    const modelsLoaded = namesIn(dig(await questions.json('/api/ps'), 'models'), 'name')
    const modelsAvailable = namesIn(dig(await questions.json('/api/tags'), 'models'), 'name')
    return { workload: knownWorkload({ atMs: Date.now(), modelsLoaded, modelsAvailable }), death: null }
  }
  return { inspect, close: () => {} }
}
