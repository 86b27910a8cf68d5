import type { DiagnosticCode } from '../diagnostics/codes.ts'
import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import type { Report } from './source-text.ts'

/** The findings behind which a part of the input was not read. */
const LOSING_CODES: ReadonlySet<DiagnosticCode> = new Set([
  'INPUT_NOT_TEXT',
  'INPUT_TOO_LARGE',
  'INPUT_EMPTY',
  'INPUT_NOT_A_MAP',
  'YAML_SYNTAX',
  'YAML_ALIAS_BOMB',
  'YAML_UNSUPPORTED',
  'BAD_SET_OPTION',
])

/** Nobody reads more, and a hostile file can hold tens of thousands. */
const MAX_FINDINGS = 500

export interface Findings {
  readonly report: Report
  /** What was found, and whether all of the input was read. */
  readonly finish: () => { diagnostics: Diagnostic[]; isComplete: boolean }
}

/** Collects findings, each once: an alias used three times has one mistake, not three. */
export function collectFindings(): Findings {
  const findings = new Map<string, Diagnostic>()
  let left = 0
  const report: Report = (finding) => {
    const identity = `${finding.code} ${finding.range.start.offset} ${finding.file} ${finding.message}`
    if (findings.has(identity)) return
    if (findings.size < MAX_FINDINGS) findings.set(identity, finding)
    else left += 1
  }
  const finish = () => {
    const diagnostics = [...findings.values()]
    const last = diagnostics.pop()
    if (last !== undefined) {
      diagnostics.push(left === 0 ? last : { ...last, message: `${last.message} (and ${left} more findings)` })
    }
    return { diagnostics, isComplete: left === 0 && !diagnostics.some(({ code }) => LOSING_CODES.has(code)) }
  }
  return { report, finish }
}
