import { findFault, type LogSigns, NO_SIGNS, readSigns } from '../probes/log-signs.ts'
import { openLogTail } from '../probes/log-tail.ts'
import { follow, type Progress, stallReason } from '../probes/stall.ts'
import { dig, namesIn, numberOrNull, openQuestions, parseJson, type Questions } from './ask-json.ts'
import type { Inspector, InspectorOptions } from './inspector.ts'
import { knownWorkload, type Workload } from './workload.ts'

/** Models change rarely, and the options are 50 KB. */
const MODELS_INTERVAL_MS = 60_000

/** Without the picture that it works on. */
const PROGRESS = '/sdapi/v1/progress?skip_current_image=true'

/** While nothing is done, its memory does not change. */
const IDLE_MEMORY_INTERVAL_MS = 30_000

type Models = Pick<Workload, 'modelsLoaded' | 'modelsAvailable'>

/**
 * Automatic1111: its job and steps by `/sdapi/v1/progress`, lack of memory by what PyTorch counts (`/sdapi/v1/memory`), or by
 * the log where that says nothing. A broken CUDA context shows in the log, and as the error of `/sdapi/v1/memory`.
 */
export function inspectAutomatic1111({ service, ask, launch }: InspectorOptions): Inspector {
  const tail = openLogTail(`${service.logs.directory}/current`, launch.isFresh ? null : launch.atMs)
  let signs: LogSigns = NO_SIGNS
  let progress: Progress | null = null
  let models: Models = { modelsLoaded: null, modelsAvailable: null }
  let modelsReadMs = Number.NEGATIVE_INFINITY
  let cuda: unknown
  let cudaReadMs = Number.NEGATIVE_INFINITY
  let cudaMark = ''

  const readMemory = async (questions: Questions, mark: string) => {
    if (mark === cudaMark && performance.now() - cudaReadMs < IDLE_MEMORY_INTERVAL_MS) return
    cuda = dig(await questions.json('/sdapi/v1/memory'), 'cuda')
    if (cuda === undefined) return
    cudaReadMs = performance.now()
    cudaMark = mark
  }

  const readModels = async (questions: Questions) => {
    if (performance.now() - modelsReadMs < MODELS_INTERVAL_MS) return
    models = await askModels(questions)
    if (models.modelsAvailable !== null) modelsReadMs = performance.now()
  }

  const isProbed = service.probe?.kind === 'http' && service.probe.path === PROGRESS

  const inspect: Inspector['inspect'] = async (answer) => {
    const questions = openQuestions(service, ask)
    const lines = await tail.read()
    signs = readSigns(signs, lines ?? [])
    const state = dig(isProbed && answer !== undefined ? parseJson(answer) : await questions.json(PROGRESS), 'state')
    const job = describeJob(state)
    const mark = `${job?.name} ${job?.mark} ${signs.activity}`
    progress = follow(progress, job?.name ?? null, mark, performance.now())
    await readMemory(questions, mark)
    await readModels(questions)
    const workload = knownWorkload({
      atMs: Date.now(),
      queueRunning: state === undefined ? null : Number(job !== null),
      ...models,
      outOfMemoryCount: numberOrNull(dig(cuda, 'events', 'oom')) ?? (lines === null ? null : signs.outOfMemory),
    })
    return {
      workload,
      death: faultOf(signs, cuda) ?? stallReason(progress, service.liveness.stallMs, performance.now()),
    }
  }
  return { inspect, close: tail.close }
}

/** `job_count` is -1 while a job is prepared, and 0 for none (modules/shared_state.py). */
function describeJob(state: unknown): { readonly name: string; readonly mark: string } | null {
  const count = numberOrNull(dig(state, 'job_count'))
  if (count === null || count === 0) return null
  const mark = ['job_no', 'sampling_step', 'sampling_steps'].map((key) => dig(state, key)).join('/')
  return { name: `job "${dig(state, 'job') || 'unnamed'}" of ${dig(state, 'job_timestamp')}`, mark }
}

function faultOf({ fault }: LogSigns, cuda: unknown): string | null {
  if (fault !== null) return `its log shows a CUDA fault: ${fault}`
  const error = dig(cuda, 'error')
  return typeof error === 'string' && findFault(error) ? `its CUDA context is broken: ${error.slice(0, 300)}` : null
}

/** The checkpoint of the options is the one in memory. */
async function askModels(questions: Questions): Promise<Models> {
  const loaded = dig(await questions.json('/sdapi/v1/options'), 'sd_model_checkpoint')
  const modelsAvailable = namesIn(await questions.json('/sdapi/v1/sd-models'), 'title')
  return { modelsLoaded: typeof loaded === 'string' ? [loaded] : null, modelsAvailable }
}
