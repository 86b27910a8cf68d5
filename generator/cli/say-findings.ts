import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { type DiagnosticFormat, formatDiagnostics } from '../diagnostics/format.ts'
import { EXIT } from './failure.ts'
import { type Host, wantsColor } from './host.ts'

export interface Findings {
  readonly diagnostics: readonly Diagnostic[]
  readonly texts: ReadonlyMap<string, string>
}

/** Findings beside a result: talk. */
export function sayFindings(host: Host, findings: Findings, format: DiagnosticFormat): void {
  const { diagnostics } = findings
  if (diagnostics.length === 0) return
  const color = wantsColor(host.environment, () => process.stderr.isTTY)
  host.say(formatDiagnostics(diagnostics, findings.texts, { format, color }))
}

/** Findings as the result itself; as JSON also where there are none. */
export function printFindings(host: Host, { diagnostics, texts }: Findings, format: DiagnosticFormat): void {
  const color = wantsColor(host.environment, () => process.stdout.isTTY)
  host.print(formatDiagnostics(diagnostics, texts, { format, color }))
}

export function hasError(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error')
}

/** 1 for an error, and for a warning where they count too. */
export function exitCodeOf(diagnostics: readonly Diagnostic[], isStrict: boolean): number {
  return hasError(diagnostics) || (isStrict && diagnostics.length > 0) ? EXIT.findings : EXIT.done
}
