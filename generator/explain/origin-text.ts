import type { Compilation } from '../compile.ts'
import { type Pointer, pointerKeys } from '../load/origin.ts'
import { schemaAt, treatmentOf } from '../validate/schema-walk.ts'

/** Where a value was decided. Lines and columns count from 1. */
export interface ValueOrigin {
  readonly kind: 'file' | 'set' | 'environment' | 'default' | 'compiler'
  /** JSON pointer into the machine file; absent where the compiler itself decided. */
  readonly pointer?: Pointer
  /** `machine.yaml`, `--set services.nginx.port=81`, `$NUM_GPUS`. */
  readonly file?: string
  readonly line?: number
  readonly column?: number
  /** What stands there; absent for a secret. */
  readonly written?: string
  /** Variables that were put into it. */
  readonly variables?: readonly string[]
  /** What was done with it: `+ 1 (GPU 1)`. */
  readonly note?: string
}

/** Where the value at a pointer, or the map or list around it, was decided. */
export function originAt({ origins, texts }: Compilation, pointer: Pointer, note?: string): ValueOrigin {
  const common = { pointer, ...(note === undefined ? {} : { note }) }
  const origin = origins.get(pointer)
  if (origin === undefined || origin.kind === 'default') return { kind: 'default', ...common, ...defaultOf(pointer) }
  const { file, range } = origin.kind === 'file' ? origin : origin.location
  const { line, column } = range.start
  const text = texts.get(file)?.slice(range.start.offset, range.end.offset)
  const isShown = origin.kind === 'file' && text !== undefined && treatmentOf(pointerKeys(pointer)) !== 'secret'
  const variables = origin.kind === 'file' ? (origin.variables ?? []) : []
  return {
    kind: origin.kind,
    ...common,
    file,
    line,
    column,
    ...(isShown ? { written: text } : {}),
    ...(variables.length > 0 ? { variables } : {}),
  }
}

function defaultOf(pointer: Pointer): { written?: string } {
  const value = schemaAt(pointerKeys(pointer))?.default
  return value === undefined ? {} : { written: typeof value === 'string' ? value : JSON.stringify(value) }
}

/** More of a written value is not needed to find it. */
const MAX_WRITTEN = 40

/** `machine.yaml:14:11 basePort 8188 + 1 (GPU 1)` */
export function originText(origin: ValueOrigin): string {
  const { kind, file, line, column, written, variables = [], note } = origin
  const keys = pointerKeys(origin.pointer ?? '')
  const name = kind === 'file' ? [keys.at(-1) ?? ''] : kind === 'default' ? [keys.join('.')] : []
  const place = {
    file: `${file}:${line}:${column}`,
    set: file,
    environment: file,
    default: 'default',
    compiler: 'machinegen',
  }
  const from = variables.length === 0 ? [] : [`(${variables.map((variable) => `$${variable}`).join(', ')})`]
  return [
    place[kind],
    ...name,
    ...(written === undefined ? [] : [clip(written)]),
    ...from,
    ...(note === undefined ? [] : [note]),
  ].join(' ')
}

function clip(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > MAX_WRITTEN ? `${line.slice(0, MAX_WRITTEN - 1)}…` : line
}
