import type { PlannedModel } from '../../../schema/plan.ts'
import { createBandwidth, readBytes } from '../download/bandwidth.ts'
import { createBufferPool } from '../download/buffer-pool.ts'
import { createHasher } from '../download/hasher.ts'
import { inParallel } from '../framework/in-parallel.ts'
import type { TaskContext } from '../framework/task.ts'
import { isInPlace, type WantedModel } from './assess-model.ts'
import { downloadModel } from './download-model.ts'
import { keepWhatFits, tooLarge } from './fit-disk.ts'
import { lookUp } from './look-up-model.ts'
import { openModelState } from './model-record.ts'
import { failed, type ModelResult, type ModelRun, type PendingModel, refuse, settle, skipped } from './model-run.ts'
import { openRclone, openSource } from './model-source.ts'

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
  const run: ModelRun = {
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

type LookedUp = PendingModel | ModelResult

async function provisionMissing(run: ModelRun, missing: readonly PlannedModel[]): Promise<ModelResult[]> {
  const { report, plan } = run.context
  const { parallelFiles } = plan.provisioning.downloads
  const assessed = await inParallel(PARALLEL_PROBES, missing, (model) =>
    lookUp(run, model, missing.indexOf(model) < parallelFiles),
  )
  const known = refuseTwins(run, assessed)
  const pending = known.filter((one) => 'wanted' in one)
  const fitting = keepWhatFits(run.context, pending)
  const done = known.filter((one): one is ModelResult => 'status' in one)
  const refused = pending.filter((one) => !fitting.includes(one)).map((one) => refuse(run, one, tooLarge(one.wanted)))
  report.expect({ bytes: totalBytes(fitting.map(({ wanted }) => wanted)) })
  report.phase('downloading')
  const fetched = await inParallel(parallelFiles, fitting, (one) => downloadModel(run, one))
  return [...done, ...refused, ...fetched]
}

/** Names that came from the sources may be those of others. */
function refuseTwins(run: ModelRun, assessed: readonly LookedUp[]): LookedUp[] {
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

/** `null` as soon as one of them is of unknown size. */
function totalBytes(wanted: readonly WantedModel[]): number | null {
  return wanted.reduce<number | null>(
    (sum, { sizeBytes }) => (sum === null || sizeBytes === null ? null : sum + sizeBytes),
    0,
  )
}
