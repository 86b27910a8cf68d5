import { isNoise, type LogSigns, NO_SIGNS, readSigns } from '../probes/log-signs.ts'
import { openLogTail } from '../probes/log-tail.ts'
import { follow, type Progress, stallReason } from '../probes/stall.ts'
import { dig, numberOrNull, openQuestions, type Questions } from './ask-json.ts'
import type { Inspector, InspectorOptions } from './inspector.ts'
import { knownWorkload } from './workload.ts'

/** What is asked at most this often of one that runs out of memory: the models have to be loaded again afterwards. */
const FREE_INTERVAL_MS = 60_000

/** The running prompt is the first thing in the answer; behind it come all waiting ones whole, megabytes of them. */
const QUEUE_HEAD_BYTES = 4096
const RUNNING_PROMPT = /^\s*\{\s*"queue_running"\s*:\s*\[\s*\[\s*-?[\d.eE+-]+\s*,\s*"([^"]{1,200})"/

/**
 * ComfyUI: the queue by `GET /prompt`, finished prompts by its log (`/history` holds whole results), CUDA faults and lack
 * of memory by its log. While a prompt runs, its progress is whatever changes: its id, lines in the log, the progress bar
 * that ComfyUI keeps in memory (`/internal/logs/raw`; a bar has no line end, so that it reaches the log only when it is full).
 */
export function inspectComfyui({ service, ask, launch }: InspectorOptions): Inspector {
  const tail = openLogTail(`${service.logs.directory}/current`, launch.isFresh ? null : launch.atMs)
  const logsPrompts = !hidesPrompts(service.command)
  let signs: LogSigns = NO_SIGNS
  let progress: Progress | null = null
  let freedMs = Number.NEGATIVE_INFINITY
  let freedOutOfMemory = 0
  let bar = ''

  const free = async (questions: Questions) => {
    if (signs.outOfMemory === freedOutOfMemory || performance.now() - freedMs < FREE_INTERVAL_MS) return
    const answer = await questions.text('/free', { json: { unload_models: true, free_memory: true } })
    if (answer === null) return
    freedMs = performance.now()
    freedOutOfMemory = signs.outOfMemory
  }

  const followProgress = async (questions: Questions, remaining: number | null) => {
    if (!service.liveness.stallMs || remaining === null) return
    const id = remaining === 0 ? null : await runningPrompt(questions)
    if (id === null && remaining > 0) return
    if (id !== null) bar = (await progressBar(questions)) ?? bar
    progress = follow(progress, id === null ? null : `prompt "${id}"`, `${signs.activity} ${bar}`, performance.now())
  }

  const inspect: Inspector['inspect'] = async () => {
    const questions = openQuestions(service, ask)
    const lines = await tail.read()
    signs = readSigns(signs, lines ?? [])
    const remaining = numberOrNull(dig(await questions.json('/prompt'), 'exec_info', 'queue_remaining'))
    await followProgress(questions, remaining)
    await free(questions)
    const running = remaining === null ? null : Math.min(1, remaining)
    const workload = knownWorkload({
      atMs: Date.now(),
      queueRunning: running,
      queuePending: remaining === null || running === null ? null : remaining - running,
      promptsDone: lines === null || !logsPrompts ? null : signs.promptsDone,
      outOfMemoryCount: lines === null ? null : signs.outOfMemory,
    })
    const fault = signs.fault === null ? null : `its log shows a CUDA fault: ${signs.fault}`
    return { workload, death: fault ?? stallReason(progress, service.liveness.stallMs, performance.now()) }
  }
  return { inspect, close: tail.close }
}

/** `--verbose WARNING` keeps the lines about finished prompts out of the log. */
function hidesPrompts(command: readonly string[]): boolean {
  const at = command.indexOf('--verbose')
  const level = at === -1 ? command.find((word) => word.startsWith('--verbose='))?.slice(10) : command[at + 1]
  return level === 'WARNING' || level === 'ERROR' || level === 'CRITICAL'
}

async function runningPrompt(questions: Questions): Promise<string | null> {
  const head = await questions.text('/queue', { headBytes: QUEUE_HEAD_BYTES })
  return RUNNING_PROMPT.exec(head ?? '')?.[1] ?? null
}

/** The last entry that somebody's work wrote, with its time. */
async function progressBar(questions: Questions): Promise<string | null> {
  const entries = dig(await questions.json('/internal/logs/raw'), 'entries')
  if (!Array.isArray(entries)) return null
  const last = entries.findLast((entry) => !isNoise(String(dig(entry, 'm') ?? '').trim()))
  return last === undefined ? null : JSON.stringify(last).slice(0, 1000)
}
