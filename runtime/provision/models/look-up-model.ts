import type { PlannedModel } from '../../../schema/plan.ts'
import { DownloadError } from '../download/download-error.ts'
import { hasPart } from '../download/part-file.ts'
import type { BegunTransfer, RangeSource, SourceFacts } from '../download/range-source.ts'
import { withRetries } from '../download/retry.ts'
import { adopt, combine, type WantedModel } from './assess-model.ts'
import { describeFailure } from './describe-failure.ts'
import { type ModelRecord, statOf } from './model-record.ts'
import {
  failed,
  type ModelResult,
  type ModelRun,
  type PendingModel,
  retryOptions,
  settle,
  skipped,
  versionOf,
  wantedOf,
} from './model-run.ts'
import type { OpenedSource } from './model-source.ts'

/** What is asked for with the first question about a file that is fetched as soon as all questions are answered. */
const FIRST_BYTES = 4 * 1024 * 1024

/**
 * Asks the source of a model what it has, and looks whether what lies in its place is it already. `isNext`: it is fetched
 * at once if it must be.
 */
export async function lookUp(run: ModelRun, model: PlannedModel, isNext: boolean): Promise<PendingModel | ModelResult> {
  let opened: OpenedSource | null = null
  let begun: BegunTransfer | null = null
  try {
    opened = run.open(model)
    const { source } = opened
    const asked = await withRetries(() => ask(source, isNext && isFresh(run, model)), retryOptions(run, model))
    begun = asked.begun
    const wanted = combine(model, asked.facts, run.state)
    refuseAgain(run, wanted)
    if (wanted.inPlace === 'nothing') return { opened, wanted, begun }
    const adopted = await adopt(wanted, run.hasher)
    if (adopted === 'different') return { opened, wanted, begun }
    begun?.close()
    run.state.note(model, recordOf(wanted.target, adopted.sha256))
    return settle(run, skipped(model))
  } catch (error) {
    begun?.close()
    return settle(run, failed(model, describeFailure(model, opened, error)))
  }
}

async function ask(source: RangeSource, isBeginning: boolean): Promise<Asked> {
  if (isBeginning && source.begin !== undefined) return source.begin(FIRST_BYTES)
  return { facts: await source.probe(), begun: null }
}

interface Asked {
  readonly facts: SourceFacts
  readonly begun: BegunTransfer | null
}

/** Nothing of it is there, and nothing is known against it: its first bytes are what is missing. */
function isFresh({ state }: ModelRun, model: PlannedModel): boolean {
  const { directory, file } = model
  if (file === null || state.refusalOf(model) !== null) return false
  return !hasPart(`${directory}/${file}`) && statOf(`${directory}/${file}`) === undefined
}

/** A version that was not the wanted one is not fetched again and again: its source must change first, or the entry. */
function refuseAgain({ state }: ModelRun, { model, facts }: WantedModel): void {
  const refusal = state.refusalOf(model)
  if (refusal === null || refusal.version !== versionOf(facts)) return
  if (refusal.wanted === wantedOf(model)) throw new DownloadError('refused', `${refusal.refused} (it has not changed)`)
}

function recordOf(target: string, sha256: string | null): ModelRecord {
  const stats = statOf(target)
  return { target, sizeBytes: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0, sha256 }
}
