import type { Plan } from '../../../schema/plan.ts'
import { asDownloadError } from '../download/download-error.ts'
import { withRetries } from '../download/retry.ts'
import { formatSeconds } from '../framework/format-progress.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { openTaskState, type TaskState } from '../framework/task-state.ts'
import { createOllamaApi, type OllamaApi } from './ollama-api.ts'
import { createPullProgress } from './pull-progress.ts'

/** A model that a run of ours pulled, by its whole name. */
interface PulledModel {
  /** ISO 8601, UTC. */
  readonly pulledAt: string
}

interface Work {
  readonly context: TaskContext
  readonly api: OllamaApi
  readonly state: TaskState<PulledModel>
}

/**
 * The models of Ollama, kept in line with the machine file: missing ones are pulled, and those that an earlier file had and
 * this one lacks are removed if they were pulled by us. What the user pulled himself stays.
 */
export const ollamaModelsTask: ProvisionTask = {
  preview: async (context) => {
    const wanted = context.plan.provisioning.ollamaModels
    const here = await openApi(context.plan)
      .tags()
      .catch(() => [])
    const state = openState(context.plan)
    const pulls = missingModels(wanted, here).map((model) => `pull "${model}"`)
    return [...pulls, ...unwantedModels(wanted, here, state).map((model) => `remove "${model}"`)]
  },
  run: async (context) => {
    const work: Work = { context, api: openApi(context.plan), state: openState(context.plan) }
    const wanted = context.plan.provisioning.ollamaModels
    const { report } = context
    report.expect({ items: wanted.length, bytes: null })
    report.phase('checking')
    const here = await retrying(work, 'its models', () => work.api.tags())
    const missing = missingModels(wanted, here)
    for (const model of wanted) if (!missing.includes(model)) report.settle(model, 'skipped')
    const failures: string[] = []
    // One after the other: Ollama itself fetches a model in many parts.
    for (const model of missing) failures.push(...(await pull(work, model)))
    return conclude(work, wanted, failures, missing.length)
  },
}

const isPulledModel = (value: unknown): value is PulledModel =>
  typeof (value as Partial<PulledModel> | null)?.pulledAt === 'string'

const openState = (plan: Plan): TaskState<PulledModel> => openTaskState(plan.paths, 'ollama-models', isPulledModel)

function openApi({ services }: Plan): OllamaApi {
  const ollama = services.find(({ type }) => type === 'ollama')
  if (ollama === undefined || ollama.port === null) throw new Error('cannot pull models: this machine runs no Ollama')
  return createOllamaApi({ address: ollama.address ?? '127.0.0.1', port: ollama.port })
}

/** Ollama shows names without the parts that all have: its own registry and library (types/model/name.go). */
const USUAL = /^(registry\.ollama\.ai\/)?(library\/)?(?=[^/]*$)|^registry\.ollama\.ai\//

/** The one name of a model, whatever form it is written in: as Ollama shows it, with a tag, in lower case. */
export function wholeName(model: string): string {
  const short = model
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(USUAL, '')
  const last = short.slice(short.lastIndexOf('/') + 1)
  return last.includes(':') || last.includes('@') ? short : `${short}:latest`
}

function missingModels(wanted: readonly string[], here: readonly string[]): string[] {
  const names = new Set(here.map(wholeName))
  return wanted.filter((model) => !names.has(wholeName(model)))
}

function unwantedModels(wanted: readonly string[], here: readonly string[], state: TaskState<PulledModel>): string[] {
  const names = new Set(wanted.map(wholeName))
  return here.filter((model) => state.get(wholeName(model)) !== undefined && !names.has(wholeName(model)))
}

async function pull(work: Work, model: string): Promise<string[]> {
  const { report } = work.context
  report.phase('downloading')
  // Before it: what a killed run has begun is ours too.
  work.state.set(wholeName(model), { pulledAt: new Date().toISOString() })
  let reached = 0
  try {
    const attempt = () => {
      const read = createPullProgress()
      return work.api.pull(model, (line) => {
        const { bytes, totalBytes } = read(line)
        reached = Math.max(reached, bytes)
        report.update(model, bytes, totalBytes)
        report.problem(null)
      })
    }
    await retrying(work, model, attempt, () => reached)
    report.settle(model, 'ok')
    return []
  } catch (error) {
    const problem = `cannot pull "${model}": ${(error as Error).message}`
    report.settle(model, 'failed', problem)
    return [problem]
  }
}

/** Ollama restarts, and its registry is away for a while: that is waited for as long as something comes now and then. */
function retrying<Result>(
  { context }: Work,
  what: string,
  attempt: () => Promise<Result>,
  progress?: () => number,
): Promise<Result> {
  const { plan, report } = context
  return withRetries(attempt, {
    retries: plan.provisioning.downloads.retries,
    ...(progress === undefined ? {} : { progress }),
    onFailure: (error, pauseMs) =>
      report.problem(`${what}: ${error.message}; tries again in ${formatSeconds(Math.max(1, pauseMs / 1000))}`),
  })
}

/** What is not wanted any more goes last: where something failed, it may still be needed. */
async function conclude(
  work: Work,
  wanted: readonly string[],
  failures: readonly string[],
  pulled: number,
): Promise<TaskOutcome> {
  const { api, state, context } = work
  const here = await retrying(work, 'its models', () => api.tags())
  const lost = failures.length > 0 ? [] : missingModels(wanted, here)
  const problems = [...failures, ...lost.map((model) => `Ollama has pulled "${model}" and does not list it`)]
  const warnings: string[] = []
  let removed = 0
  for (const model of problems.length > 0 ? [] : unwantedModels(wanted, here, state)) {
    try {
      await api.remove(model)
      context.report.note(`"${model}" is removed: the machine file has it no more`)
      removed += 1
    } catch (error) {
      warnings.push(`cannot remove "${model}": ${asDownloadError(error).message}`)
    }
  }
  if (problems.length === 0) forget(work, wanted, warnings.length > 0)
  return { failures: problems, warnings, facts: { models: wanted.length, pulled: pulled - failures.length, removed } }
}

/** One that the user pulls again later is his. */
function forget({ state }: Work, wanted: readonly string[], isIncomplete: boolean): void {
  if (isIncomplete) return
  const names = new Set(wanted.map(wholeName))
  for (const [name] of state.entries()) if (!names.has(name)) state.set(name, null)
}
