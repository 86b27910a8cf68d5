import { basename } from 'node:path'
import type { PlannedModel } from '../../../schema/plan.ts'
import { findContentProblem } from '../download/check-content.ts'
import { DownloadError } from '../download/download-error.ts'
import type { Hasher } from '../download/hasher.ts'
import type { SourceFacts } from '../download/range-source.ts'
import { isUntouched, type ModelState, statOf } from './model-record.ts'

/** A model that must be fetched, with all that is known of it before. */
export interface WantedModel {
  readonly model: PlannedModel
  readonly facts: SourceFacts
  readonly target: string
  /** `folder/file`, as people see it. */
  readonly name: string
  readonly sizeBytes: number | null
  readonly sha256: string | null
  /** What is in its place: `ours` was fetched by this machine and may be replaced, a user's file is moved aside. */
  readonly inPlace: 'nothing' | 'ours' | 'a user file'
}

/** Whether the file of a model is there and was found right before; looks at nothing but its record and its inode. */
export function isInPlace(model: PlannedModel, state: ModelState): string | null {
  const record = state.recordOf(model)
  if (record === null || !isUntouched(record, statOf(record.target))) return null
  if (model.sizeBytes !== null && model.sizeBytes !== record.sizeBytes) return null
  return model.sha256 === null || model.sha256 === record.sha256 ? record.target : null
}

/** What the entry and its source say, together. Throws where they contradict each other, or the place cannot be. */
export function combine(model: PlannedModel, facts: SourceFacts, state: ModelState): WantedModel {
  const file = model.file ?? fileNameOf(facts.fileName)
  if (file === null) {
    throw new DownloadError('refused', 'its source does not say what it is called: give the entry a file')
  }
  const { sizeBytes: declared } = model
  if (declared !== null && facts.sizeBytes !== null && declared !== facts.sizeBytes) {
    const whose = model.locked ? 'the lock file' : 'the entry'
    throw new DownloadError('refused', `its source has ${facts.sizeBytes} bytes, and ${whose} says ${declared}`)
  }
  if (model.sha256 !== null && facts.sha256 !== null && model.sha256 !== facts.sha256) {
    throw new DownloadError('refused', hashMessage(model, facts.sha256))
  }
  const target = `${model.directory}/${file}`
  return {
    model,
    facts,
    target,
    name: `${model.folder}/${file}`,
    sizeBytes: declared ?? facts.sizeBytes,
    sha256: model.sha256 ?? facts.sha256,
    inPlace: ownerOf(target, state),
  }
}

export function hashMessage({ locked, sha256 }: PlannedModel, found: string): string {
  const whose = locked ? 'the lock file' : sha256 === null ? 'the source' : 'the entry'
  return `its SHA-256 is ${found}, and ${whose} says ${sha256 ?? 'another one'}`
}

function ownerOf(target: string, state: ModelState): WantedModel['inPlace'] {
  const stats = statOf(target)
  if (stats === undefined) return 'nothing'
  if (!stats.isFile()) throw new DownloadError('refused', `"${target}" is there and is no file`)
  const record = state.recordAt(target)
  return record !== null && isUntouched(record, stats) ? 'ours' : 'a user file'
}

/** What a source calls it, as far as that can be a file in a model folder. */
function fileNameOf(name: string | null): string | null {
  if (name === null || name.length > 200) return null
  return /^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u.test(name) ? name : null
}

/**
 * Whether the file that lies in the place of a model is that model: by its hash where one is known, else by its size and
 * what it says of itself. Gives its hash, or `null` where none was asked for; `different` for another file.
 */
export async function adopt(
  { target, sizeBytes, sha256 }: WantedModel,
  hasher: Hasher,
): Promise<{ readonly sha256: string | null } | 'different'> {
  const stats = statOf(target)
  if (stats === undefined || (sizeBytes !== null && stats.size !== sizeBytes)) return 'different'
  if (sha256 !== null) {
    const found = await hasher.follow(target).digest(stats.size)
    return found === sha256 ? { sha256 } : 'different'
  }
  return findContentProblem(target, basename(target), stats.size) === null ? { sha256: null } : 'different'
}
