import { asDownloadError } from '../download/download-error.ts'
import { bytesInPart, discardPart } from '../download/part-file.ts'
import { withRetries } from '../download/retry.ts'
import { combine, type WantedModel } from './assess-model.ts'
import { describeFailure } from './describe-failure.ts'
import { fetchModel, partIdentityOf, WrongContent } from './fetch-model.ts'
import {
  failed,
  type ModelResult,
  type ModelRun,
  type PendingModel,
  retryOptions,
  settle,
  versionOf,
  wantedOf,
} from './model-run.ts'
import type { OpenedSource } from './model-source.ts'

/** How often a file that changes while it is fetched is begun anew. */
const MOST_CHANGES = 3

/** Fetches a model; one that changes meanwhile from its beginning, and one whose earlier part turns out to be damaged. */
export async function downloadModel(run: ModelRun, first: PendingModel): Promise<ModelResult> {
  const { opened } = first
  const { model } = first.wanted
  let { wanted, begun } = first
  for (let changes = 0; ; changes += 1) {
    const isContinued = bytesInPart(wanted.target, partIdentityOf(wanted)) > 0
    try {
      return await downloadOnce(run, { opened, wanted, begun })
    } catch (thrown) {
      const error = asDownloadError(thrown)
      const isDamaged = error instanceof WrongContent && isContinued
      const isOver = (error.kind !== 'changed' && !isDamaged) || changes === MOST_CHANGES
      if (isOver) return giveUp(run, opened, wanted, error)
      run.context.report.note(`${wanted.name}: ${error.message}: it is fetched from its beginning`)
    }
    try {
      const facts = await withRetries(() => opened.source.probe(), retryOptions(run, model))
      wanted = combine(model, facts, run.state)
      begun = null
    } catch (error) {
      return giveUp(run, opened, wanted, error)
    }
  }
}

async function downloadOnce(run: ModelRun, { opened: { source }, wanted, begun }: PendingModel): Promise<ModelResult> {
  const { model, name, sizeBytes } = wanted
  const { downloads } = run.context.plan.provisioning
  const { report } = run.context
  const { retries, onFailure } = retryOptions(run, model)
  const { record, movedTo } = await fetchModel(wanted, {
    source,
    begun,
    hasher: run.hasher,
    bandwidth: run.bandwidth,
    staging: run.staging,
    segments: downloads.segments,
    retries,
    onTrouble: onFailure,
    onProgress: (bytes) => {
      report.update(name, bytes, sizeBytes)
      report.problem(null)
    },
  })
  run.state.note(model, record)
  const notice = movedTo === null ? null : `"${record.target}" was another file: it is kept as "${movedTo}"`
  return settle(run, { model, status: wanted.inPlace === 'nothing' ? 'ok' : 'changed', problem: null, notice }, name)
}

function giveUp(run: ModelRun, opened: OpenedSource, wanted: WantedModel, error: unknown): ModelResult {
  const { model, facts, name, target } = wanted
  if (error instanceof WrongContent) {
    discardPart(target)
    run.state.note(model, { refused: error.message, version: versionOf(facts), wanted: wantedOf(model) })
  }
  return settle(run, failed(model, describeFailure(model, opened, error)), name)
}
