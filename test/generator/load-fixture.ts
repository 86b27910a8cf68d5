import type { Diagnostic } from '../../generator/diagnostics/diagnostic.ts'
import { type LoadedMachine, type LoadInput, loadMachine } from '../../generator/load/load-machine.ts'

/** Loads texts as the layers `0.yaml`, `1.yaml`, ... with nothing in the environment, unless told otherwise. */
export function load(
  texts: string | Uint8Array | (string | Uint8Array)[],
  input: Partial<LoadInput> = {},
): LoadedMachine {
  const sources = [texts].flat().map((text, index) => ({ file: `${index}.yaml`, text }))
  return loadMachine({ sources, environment: {}, treatmentOf: () => 'plain', ...input })
}

/** `file:line:column CODE` of each finding; warnings have a `?`. */
export function brief(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(({ file, range, code, severity }) => {
    const mark = severity === 'warning' ? '?' : ''
    return `${file}:${range.start.line}:${range.start.column} ${code}${mark}`
  })
}

/** The text that a finding underlines. */
export function underlined({ texts }: Pick<LoadedMachine, 'texts'>, { file, range }: Diagnostic): string {
  return (texts.get(file) ?? '').slice(range.start.offset, range.end.offset)
}
