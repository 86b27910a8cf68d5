import type { PlannedModel } from '../../../schema/plan.ts'
import type { Bandwidth } from '../download/bandwidth.ts'
import type { BufferPool } from '../download/buffer-pool.ts'
import type { DownloadError } from '../download/download-error.ts'
import type { Hasher } from '../download/hasher.ts'
import type { BegunTransfer, SourceFacts } from '../download/range-source.ts'
import { formatSeconds } from '../framework/format-progress.ts'
import type { TaskContext } from '../framework/task.ts'
import type { WantedModel } from './assess-model.ts'
import { nameOf } from './describe-failure.ts'
import type { ModelState } from './model-record.ts'
import type { OpenedSource } from './model-source.ts'

export interface ModelResult {
  readonly model: PlannedModel
  readonly status: 'ok' | 'changed' | 'skipped' | 'failed'
  /** Why it could not be had. */
  readonly problem: string | null
  /** What somebody should know although all went well. */
  readonly notice: string | null
}

/** What all models of a run share. */
export interface ModelRun {
  readonly context: TaskContext
  readonly state: ModelState
  readonly hasher: Hasher
  readonly bandwidth: Bandwidth
  readonly staging: BufferPool
  readonly open: (model: PlannedModel) => OpenedSource
}

/** A model that is to be fetched. */
export interface PendingModel {
  readonly opened: OpenedSource
  readonly wanted: WantedModel
  /** Its first bytes are on their way. */
  readonly begun: BegunTransfer | null
}

export const skipped = (model: PlannedModel): ModelResult => ({
  model,
  status: 'skipped',
  problem: null,
  notice: null,
})

export const failed = (model: PlannedModel, problem: string): ModelResult => ({
  model,
  status: 'failed',
  problem,
  notice: null,
})

/** Reports a result, and gives it. */
export function settle({ context }: ModelRun, result: ModelResult, name = nameOf(result.model)): ModelResult {
  context.report.settle(name, result.status, result.problem ?? result.notice ?? undefined, { url: result.model.url })
  return result
}

export function refuse(run: ModelRun, { begun }: PendingModel, result: ModelResult): ModelResult {
  begun?.close()
  return settle(run, result)
}

export function retryOptions({ context }: ModelRun, model: PlannedModel) {
  const { retries } = context.plan.provisioning.downloads
  return {
    retries,
    onFailure: (error: DownloadError, pauseMs: number) =>
      context.report.problem(
        `${nameOf(model)}: ${error.message}; tries again in ${formatSeconds(Math.max(1, pauseMs / 1000))}`,
      ),
  }
}

/** What an entry asks for, and what its source has: while neither changes, a refused file stays one. */
export const wantedOf = ({ sizeBytes, sha256 }: PlannedModel): string => `${sizeBytes ?? ''} ${sha256 ?? ''}`
export const versionOf = ({ validator, sha256, sizeBytes }: SourceFacts): string =>
  validator ?? sha256 ?? `${sizeBytes} bytes`
