import { findSpaceShortages, SPACE_MARGIN_BYTES } from '../download/disk-space.ts'
import { bytesInPart } from '../download/part-file.ts'
import { formatBytes } from '../framework/format-progress.ts'
import type { TaskContext } from '../framework/task.ts'
import type { WantedModel } from './assess-model.ts'
import { nameOf } from './describe-failure.ts'
import { partIdentityOf } from './fetch-model.ts'
import { failed, type ModelResult, type PendingModel } from './model-run.ts'

/** All of them if they fit; else as many as do, those first that the machine cannot do without. */
export function keepWhatFits(
  { report }: Pick<TaskContext, 'report'>,
  pending: readonly PendingModel[],
): readonly PendingModel[] {
  const fits = (some: readonly PendingModel[]) =>
    findSpaceShortages(some.map(({ wanted }) => needOf(wanted))).length === 0
  if (fits(pending)) return pending
  const required = pending.filter(({ wanted }) => !wanted.model.optional)
  const [shortage] = findSpaceShortages(pending.map(({ wanted }) => needOf(wanted)))
  if (shortage !== undefined) {
    const { path, neededBytes, freeBytes } = shortage
    report.note(
      `the volume of "${path}" has ${formatBytes(freeBytes)} free; ${formatBytes(neededBytes)} are to come, and ${formatBytes(SPACE_MARGIN_BYTES)} stay free`,
    )
  }
  const kept: PendingModel[] = []
  const byNeed = [...required, ...pending.filter(({ wanted }) => wanted.model.optional)]
  for (const one of byNeed) if (fits([...kept, one])) kept.push(one)
  return kept
}

function needOf(wanted: WantedModel): { readonly path: string; readonly bytes: number } {
  const there = bytesInPart(wanted.target, partIdentityOf(wanted))
  return { path: wanted.target, bytes: Math.max(0, (wanted.sizeBytes ?? 0) - there) }
}

/** The result of a model that does not fit. */
export function tooLarge({ model, sizeBytes, target }: WantedModel): ModelResult {
  const [shortage] = findSpaceShortages([{ path: target, bytes: sizeBytes ?? 0 }])
  const free =
    shortage === undefined ? 'too little is free beside the others' : `${formatBytes(shortage.freeBytes)} are free`
  const problem = `cannot download ${model.entry} (${nameOf(model)}): it needs ${formatBytes(sizeBytes ?? 0)} and ${formatBytes(SPACE_MARGIN_BYTES)} stay free, and ${free}`
  return failed(model, problem)
}
