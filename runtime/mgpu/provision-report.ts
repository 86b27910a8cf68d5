import { readFileSync } from 'node:fs'
import type { MachinePaths, Plan, PlannedModel, PlannedNode } from '../../schema/plan.ts'
import { readProgress } from '../shared/provision-progress.ts'

/** `present`, `missing`, `refused`: what was fetched was not what it should be. */
export interface ModelReport {
  readonly entry: string
  readonly model: string
  readonly folder: string
  readonly state: 'present' | 'changed' | 'missing' | 'refused'
  readonly sizeBytes: number | null
  readonly sha256: string | null
  readonly file: string | null
  readonly problem: string | null
}

export interface NodeReport {
  readonly name: string
  /** As the provisioner has it (`ok`, `failed`, `kept`); `missing` for one that it has not come to. */
  readonly state: string
  readonly ok: boolean
  readonly commit: string | null
  readonly url: string
  readonly problem: string | null
}

type Entries = ReadonlyMap<string, Readonly<Record<string, unknown>>>

export type FileSize = (path: string) => number | null

/** What the state of a provisioner on the volume tells; nothing where there is none. */
export function readEntries(paths: Pick<MachinePaths, 'state'>, task: string): Entries {
  try {
    const text = readFileSync(`${paths.state}/provision/${task}.json`, 'utf8')
    const { entries } = JSON.parse(text) as { readonly entries?: Readonly<Record<string, unknown>> }
    const pairs = Object.entries(entries ?? {}).filter(
      (pair): pair is [string, Readonly<Record<string, unknown>>] => typeof pair[1] === 'object' && pair[1] !== null,
    )
    return new Map(pairs)
  } catch {
    return new Map()
  }
}

/** Each model of the plan with what is known of it. Pure but for `sizeOf`. */
export function reportModels(models: readonly PlannedModel[], entries: Entries, sizeOf: FileSize): ModelReport[] {
  return models.map((model) => {
    const known = entries.get(`${model.url} > ${model.directory}/${model.file ?? ''}`)
    const target = text(known?.target) ?? (model.file === null ? null : `${model.directory}/${model.file}`)
    const size = target === null ? null : sizeOf(target)
    const noted = typeof known?.sizeBytes === 'number' ? known.sizeBytes : null
    return {
      entry: model.entry,
      model: model.file ?? model.url.split(/[?#]/, 1)[0]!.split('/').at(-1)!,
      folder: model.folder,
      ...stateOfModel(known, size, noted),
      sizeBytes: size ?? noted ?? model.sizeBytes,
      sha256: text(known?.sha256) ?? model.sha256,
      file: target,
    }
  })
}

function stateOfModel(
  known: Readonly<Record<string, unknown>> | undefined,
  size: number | null,
  noted: number | null,
): Pick<ModelReport, 'state' | 'problem'> {
  const refused = text(known?.refused)
  if (refused !== null) return { state: 'refused', problem: refused }
  if (size === null) return { state: 'missing', problem: known === undefined ? null : 'it was there and is gone' }
  if (noted === null) return { state: 'present', problem: 'nobody has checked it yet' }
  if (noted !== size) return { state: 'changed', problem: `it had ${noted} bytes and has ${size}` }
  return { state: 'present', problem: null }
}

/** Each custom node of the plan and each that the provisioner knows beside them. */
export function reportNodes(
  nodes: readonly Pick<PlannedNode, 'name' | 'url' | 'commit'>[],
  entries: Entries,
): NodeReport[] {
  const others = [...entries.keys()].filter((name) => !nodes.some((node) => node.name === name))
  const planned = nodes.map(({ name, url, commit }) => reportNode(name, url, commit, entries.get(name)))
  return [...planned, ...others.map((name) => reportNode(name, '', null, entries.get(name)))]
}

function reportNode(
  name: string,
  url: string,
  wanted: string | null,
  known: Readonly<Record<string, unknown>> | undefined,
): NodeReport {
  const notes = Array.isArray(known?.notes) ? known.notes.filter((note) => typeof note === 'string') : []
  const state = text(known?.status) ?? (known === undefined ? 'missing' : 'unknown')
  return {
    name,
    state,
    ok: state === 'ok',
    commit: text(known?.commit) ?? wanted,
    url: url || (text(known?.url) ?? ''),
    problem: text(known?.problem) ?? (notes.length === 0 ? null : notes.join('; ')),
  }
}

/** What a task says of itself now, for the line below a report; `null` where it has not run. */
export function describeTask(paths: Plan['paths'], task: string): string | null {
  const progress = readProgress(paths, task)
  if (progress === null) return null
  const { state, phase, done, total, problem } = progress
  const steps = total === 0 ? '' : `, ${done} of ${total}`
  return `${task}: ${state === 'running' ? phase : state}${steps}${problem === null ? '' : `: ${problem}`}`
}

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)
