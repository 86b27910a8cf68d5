import type { PlannedModel } from '../../../schema/plan.ts'
import { type Bandwidth, createBandwidth, readBytes } from '../download/bandwidth.ts'
import { type BufferPool, createBufferPool } from '../download/buffer-pool.ts'
import { findSpaceShortages, SPACE_MARGIN_BYTES } from '../download/disk-space.ts'
import { asDownloadError, DownloadError } from '../download/download-error.ts'
import { createHasher, type Hasher } from '../download/hasher.ts'
import { bytesInPart, discardPart, hasPart } from '../download/part-file.ts'
import type { BegunTransfer, RangeSource, SourceFacts } from '../download/range-source.ts'
import { withRetries } from '../download/retry.ts'
import { formatBytes, formatSeconds } from '../framework/format-progress.ts'
import { inParallel } from '../framework/in-parallel.ts'
import type { TaskContext } from '../framework/task.ts'
import { adopt, combine, isInPlace, type WantedModel } from './assess-model.ts'
import { describeFailure, nameOf } from './describe-failure.ts'
import { fetchModel, partIdentityOf, WrongContent } from './fetch-model.ts'
import { type ModelRecord, type ModelState, openModelState, statOf } from './model-record.ts'
import { type OpenedSource, openRclone, openSource } from './model-source.ts'

export interface ModelResult {
  readonly model: PlannedModel
  readonly status: 'ok' | 'changed' | 'skipped' | 'failed'
  /** Why it could not be had. */
  readonly problem: string | null
  /** What somebody should know although all went well. */
  readonly notice: string | null
}

/** What all models of a run share. */
interface Run {
  readonly context: TaskContext
  readonly state: ModelState
  readonly hasher: Hasher
  readonly bandwidth: Bandwidth
  readonly staging: BufferPool
  readonly open: (model: PlannedModel) => OpenedSource
}

/** Sources are asked about many files at a time: each answer is a few hundred bytes. */
const PARALLEL_PROBES = 8

/** Puts the models in their places. Gives a result for each; what one lacks stops no other. */
export async function provisionModels(
  models: readonly PlannedModel[],
  when: PlannedModel['when'],
  context: TaskContext,
): Promise<ModelResult[]> {
  const { plan, environment, report, secret } = context
  const { parallelFiles, segments, bandwidthBytesPerSecond } = plan.provisioning.downloads
  const atATime = readBytes(bandwidthBytesPerSecond, parallelFiles * segments)
  const buffers = createBufferPool(atATime)
  const shared = { provisioning: plan.provisioning, secret, environment }
  const rclone = openRclone(shared)
  const run: Run = {
    context,
    state: openModelState(plan.paths, when),
    hasher: createHasher(),
    bandwidth: createBandwidth(bandwidthBytesPerSecond),
    staging: buffers,
    open: (model) => openSource(model, { ...shared, buffers, rclone }),
  }
  report.expect({ items: models.length, bytes: 0 })
  report.phase('checking')
  try {
    const missing = models.filter((model) => isInPlace(model, run.state) === null)
    const inPlace = models.filter((model) => !missing.includes(model)).map((model) => settle(run, skipped(model)))
    return [...inPlace, ...(missing.length === 0 ? [] : await provisionMissing(run, missing))]
  } finally {
    rclone.close()
    await run.hasher.close()
  }
}

type Assessed = Pending | ModelResult

interface Pending {
  readonly opened: OpenedSource
  readonly wanted: WantedModel
  /** Its first bytes are on their way. */
  readonly begun: BegunTransfer | null
}

/** What is asked for with the first question about a file that is fetched as soon as all questions are answered. */
const FIRST_BYTES = 4 * 1024 * 1024

async function provisionMissing(run: Run, missing: readonly PlannedModel[]): Promise<ModelResult[]> {
  const { report, plan } = run.context
  const { parallelFiles } = plan.provisioning.downloads
  const assessed = await inParallel(PARALLEL_PROBES, missing, (model) =>
    assess(run, model, missing.indexOf(model) < parallelFiles),
  )
  const known = refuseTwins(run, assessed)
  const pending = known.filter((one) => 'wanted' in one)
  const fitting = keepWhatFits(run, pending)
  const done = known.filter((one): one is ModelResult => 'status' in one)
  const refused = pending.filter((one) => !fitting.includes(one)).map((one) => refuse(run, one, tooLarge(one.wanted)))
  report.expect({ bytes: totalBytes(fitting.map(({ wanted }) => wanted)) })
  report.phase('downloading')
  const fetched = await inParallel(parallelFiles, fitting, (one) => download(run, one))
  return [...done, ...refused, ...fetched]
}

/** What the source says, and whether what lies in the place of a model is it already. */
async function assess(run: Run, model: PlannedModel, isNext: boolean): Promise<Assessed> {
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
function isFresh({ state }: Run, model: PlannedModel): boolean {
  const { directory, file } = model
  if (file === null || state.refusalOf(model) !== null) return false
  return !hasPart(`${directory}/${file}`) && statOf(`${directory}/${file}`) === undefined
}

function refuse(run: Run, { begun }: Pending, result: ModelResult): ModelResult {
  begun?.close()
  return settle(run, result)
}

/** A version that was not the wanted one is not fetched again and again: its source must change first, or the entry. */
function refuseAgain({ state }: Run, { model, facts }: WantedModel): void {
  const refusal = state.refusalOf(model)
  if (refusal === null || facts.validator === null || refusal.validator !== facts.validator) return
  if (refusal.wanted === wantedOf(model)) throw new DownloadError('refused', `${refusal.refused} (it has not changed)`)
}

const wantedOf = ({ sizeBytes, sha256 }: PlannedModel): string => `${sizeBytes ?? ''} ${sha256 ?? ''}`

/** Names that came from the sources may be those of others. */
function refuseTwins(run: Run, assessed: readonly Assessed[]): Assessed[] {
  const owners = new Map<string, PlannedModel>()
  return assessed.map((one) => {
    if (!('wanted' in one)) return one
    const { model, target, name } = one.wanted
    const owner = owners.get(target)
    owners.set(target, owner ?? model)
    if (owner === undefined) return one
    const problem = `cannot download ${model.entry} to "${name}": ${owner.entry} goes there; give one of them a file`
    return refuse(run, one, failed(model, problem))
  })
}

/** All of them if they fit; else as many as do, those first that the machine cannot do without. */
function keepWhatFits(run: Run, pending: readonly Pending[]): readonly Pending[] {
  const fits = (some: readonly Pending[]) => findSpaceShortages(some.map(({ wanted }) => needOf(wanted))).length === 0
  if (fits(pending)) return pending
  const required = pending.filter(({ wanted }) => !wanted.model.optional)
  const [shortage] = findSpaceShortages(pending.map(({ wanted }) => needOf(wanted)))
  if (shortage !== undefined) {
    const { path, neededBytes, freeBytes } = shortage
    run.context.report.note(
      `the volume of "${path}" has ${formatBytes(freeBytes)} free; ${formatBytes(neededBytes)} are to come, and ${formatBytes(SPACE_MARGIN_BYTES)} stay free`,
    )
  }
  const kept: Pending[] = []
  const byNeed = [...required, ...pending.filter(({ wanted }) => wanted.model.optional)]
  for (const one of byNeed) if (fits([...kept, one])) kept.push(one)
  return kept
}

function needOf(wanted: WantedModel): { readonly path: string; readonly bytes: number } {
  const there = bytesInPart(wanted.target, partIdentityOf(wanted))
  return { path: wanted.target, bytes: Math.max(0, (wanted.sizeBytes ?? 0) - there) }
}

function tooLarge({ model, sizeBytes, target }: WantedModel): ModelResult {
  const [shortage] = findSpaceShortages([{ path: target, bytes: sizeBytes ?? 0 }])
  const free =
    shortage === undefined ? 'too little is free beside the others' : `${formatBytes(shortage.freeBytes)} are free`
  const problem = `cannot download ${model.entry} (${nameOf(model)}): it needs ${formatBytes(sizeBytes ?? 0)} and ${formatBytes(SPACE_MARGIN_BYTES)} stay free, and ${free}`
  return failed(model, problem)
}

/** `null` as soon as one of them is of unknown size. */
function totalBytes(wanted: readonly WantedModel[]): number | null {
  return wanted.reduce<number | null>(
    (sum, { sizeBytes }) => (sum === null || sizeBytes === null ? null : sum + sizeBytes),
    0,
  )
}

/** How often a file that changes while it is fetched is begun anew. */
const MOST_CHANGES = 3

async function download(run: Run, first: Pending): Promise<ModelResult> {
  const { opened } = first
  const { model } = first.wanted
  let { wanted, begun } = first
  for (let changes = 0; ; changes += 1) {
    try {
      return await downloadOnce(run, { opened, wanted, begun })
    } catch (thrown) {
      const error = asDownloadError(thrown)
      if (error.kind !== 'changed' || changes === MOST_CHANGES) return giveUp(run, opened, wanted, error)
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

async function downloadOnce(run: Run, { opened: { source }, wanted, begun }: Pending): Promise<ModelResult> {
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

function giveUp(run: Run, opened: OpenedSource, wanted: WantedModel, error: unknown): ModelResult {
  const { model, facts, name, target } = wanted
  if (error instanceof WrongContent) {
    discardPart(target)
    if (facts.validator !== null) {
      run.state.note(model, { refused: error.message, validator: facts.validator, wanted: wantedOf(model) })
    }
  }
  return settle(run, failed(model, describeFailure(model, opened, error)), name)
}

function retryOptions({ context }: Run, model: PlannedModel) {
  const { retries } = context.plan.provisioning.downloads
  return {
    retries,
    onFailure: (error: DownloadError, pauseMs: number) =>
      context.report.problem(
        `${nameOf(model)}: ${error.message}; tries again in ${formatSeconds(Math.max(1, pauseMs / 1000))}`,
      ),
  }
}

function recordOf(target: string, sha256: string | null): ModelRecord {
  const stats = statOf(target)
  return { target, sizeBytes: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0, sha256 }
}

const skipped = (model: PlannedModel): ModelResult => ({ model, status: 'skipped', problem: null, notice: null })
const failed = (model: PlannedModel, problem: string): ModelResult => ({
  model,
  status: 'failed',
  problem,
  notice: null,
})

function settle({ context }: Run, result: ModelResult, name = nameOf(result.model)): ModelResult {
  context.report.settle(name, result.status, result.problem ?? result.notice ?? undefined, { url: result.model.url })
  return result
}
