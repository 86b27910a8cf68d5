import type { Model } from '../../schema/machine.ts'
import { nearest } from '../../schema/nearest.ts'
import type { ModelSource, PlannedModel } from '../../schema/plan.ts'
import type { PlanContext } from '../services/service-type.ts'
import { COMFYUI_FOLDERS, type ComfyuiFolder } from './comfyui-folders.ts'
import { type LockedModel, lockedModel } from './lock-file.ts'
import { isFileName, readModelUrl } from './model-source.ts'

const FOLDERS = COMFYUI_FOLDERS.filter(({ key }) => key !== 'custom_nodes')

/** The models of a machine file, each with its place; entries that cannot be used are reported and left out. */
export function planModels(context: PlanContext): PlannedModel[] {
  if (!context.settings.provisioning.downloadModels) return []
  const models = context.settings.models.flatMap((model, index) => planModel(context, model, index) ?? [])
  reportConflicts(context, models)
  return models
}

function planModel(context: PlanContext, model: Model, index: number): PlannedModel | null {
  const folder = findFolder(context, model.folder, index)
  const read = readModelUrl(model.url)
  if ('problem' in read) {
    const { problem, hint, code = 'INVALID_VALUE' } = read
    const message = `cannot use the URL of models[${index}]: ${problem}`
    context.report({ code, severity: 'error', pointer: `/models/${index}/url`, message, ...(hint && { hint }) })
  }
  if (folder === null || 'problem' in read) return null
  const locked = lockedModel(context, model, index)
  const entry = `models[${index}]`
  return {
    entry,
    url: model.url,
    source: pinned(read.source, locked),
    folder: folder.key,
    directory: `${context.paths.shared}/${folder.path}`,
    file: model.file ?? locked?.file ?? fileName(read.file),
    sha256: (locked?.sha256 ?? model.sha256)?.toLowerCase() ?? null,
    sizeBytes: locked?.sizeBytes ?? model.sizeBytes ?? null,
    when: model.when,
    optional: model.optional,
    tokenSecret: context.secret(`/models/${index}/token`, `models.${index}.token`, model.token ?? ''),
    locked: locked !== null,
  }
}

const fileName = (name: string | null): string | null => (name !== null && isFileName(name) ? name : null)

/** A branch moves; the commit that was locked stays. */
function pinned(source: ModelSource, locked: LockedModel | null): ModelSource {
  const revision = locked?.revision
  return source.kind === 'huggingface' && revision !== undefined ? { ...source, revision } : source
}

function findFolder({ report }: PlanContext, key: string, index: number): ComfyuiFolder | null {
  const folder = FOLDERS.find((candidate) => candidate.key === key)
  if (folder !== undefined) return folder
  const guess = nearest(
    key,
    FOLDERS.map((candidate) => candidate.key),
  )
  report({
    code: 'INVALID_VALUE',
    severity: 'error',
    pointer: `/models/${index}/folder`,
    message: `cannot put models[${index}] into "${key}": ComfyUI has no such model folder`,
    hint:
      guess === undefined ? `folders: ${FOLDERS.map(({ key: name }) => name).join(', ')}` : `did you mean "${guess}"?`,
  })
  return null
}

function reportConflicts({ report }: PlanContext, models: readonly PlannedModel[]): void {
  const owners = new Map<string, PlannedModel>()
  for (const model of models) {
    if (model.file === null) continue
    const target = `${model.directory}/${model.file}`
    const owner = owners.get(target)
    if (owner === undefined) {
      owners.set(target, model)
      continue
    }
    const related = [{ pointer: pointerOf(owner), message: `${owner.entry} is called that as well` }]
    report({
      code: 'MODEL_CONFLICT',
      severity: 'error',
      pointer: pointerOf(model),
      message: `cannot download ${model.entry} to "${model.folder}/${model.file}": ${owner.entry} goes there`,
      hint: 'give one of them another name with file',
      related,
    })
  }
}

const pointerOf = ({ entry }: PlannedModel): string => `/models/${entry.slice('models['.length, -1)}`
