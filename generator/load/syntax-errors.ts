import type { YAMLError } from 'yaml'
import type { DiagnosticCode } from '../diagnostics/codes.ts'
import { errorAt, type Report, type SourceText } from './source-text.ts'

/** One mistake can make each line after it wrong; nobody reads further. */
const MAX_SYNTAX_ERRORS = 20

/** What the parser can read but a machine file does not have. */
const UNSUPPORTED: ReadonlySet<YAMLError['code']> = new Set([
  'NON_STRING_KEY',
  'TAG_RESOLVE_FAILED',
  'BAD_COLLECTION_TYPE',
  'BAD_DIRECTIVE',
  'RESOURCE_EXHAUSTION',
])

const REASONS: Partial<Record<YAMLError['code'], string>> = {
  TAB_AS_INDENT: 'a tab cannot indent',
  NON_STRING_KEY: 'a key is a string here, not a list, a map or empty',
  MULTILINE_IMPLICIT_KEY: 'a key stands on one line, with ":" after it',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " on the line, or a map that does not begin on a line of its own',
}

const UNCLOSED = 'a "[" or "{" before this is not closed, or a line inside it is not indented'

const HINTS: Partial<Record<YAMLError['code'], string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BLOCK_AS_IMPLICIT_KEY: 'quote a value that contains ": "',
  BAD_INDENT: 'lines of one map or list begin in the same column',
  TAG_RESOLVE_FAILED: 'leave the tag out; a value from the environment is "${NAME}"',
  BAD_SCALAR_START: 'quote the value',
}

/** Reports what the YAML parser found; gives the offset of the first real syntax error. */
export function reportSyntaxErrors(source: SourceText, findings: readonly YAMLError[], report: Report): number {
  const sorted = firstOfEachPlace(findings)
  for (const [index, finding] of sorted.slice(0, MAX_SYNTAX_ERRORS).entries()) {
    const more = index === MAX_SYNTAX_ERRORS - 1 ? sorted.length - MAX_SYNTAX_ERRORS : 0
    const message = `cannot read the YAML: ${reasonOf(finding)}${more > 0 ? ` (and ${more} more errors)` : ''}`
    // What is missing at the end is missing behind the last thing that was written.
    const start = Math.min(finding.pos[0], source.text.trimEnd().length)
    const end = Math.max(start, Math.min(finding.pos[1], source.text.length))
    report(errorAt({ source, start, end: end }, codeOf(finding), message, hintFor(source, finding)))
  }
  const broken = sorted.find((finding) => codeOf(finding) === 'YAML_SYNTAX')
  return broken === undefined ? Number.POSITIVE_INFINITY : broken.pos[0]
}

/**
 * Several errors at one place are one mistake. So are those behind the first token that the parser had no place for:
 * from there on it only says of each token that it has none either.
 */
function firstOfEachPlace(findings: readonly YAMLError[]): YAMLError[] {
  const sorted = findings.toSorted((a, b) => a.pos[0] - b.pos[0])
  const lost = sorted.findIndex(({ message }) => /^Unexpected \S+ (?:at node end|token in YAML stream)/.test(message))
  const reliable = lost === -1 ? sorted : sorted.slice(0, lost + 1)
  return reliable.filter((finding, index) => index === 0 || finding.pos[0] !== reliable[index - 1]?.pos[0])
}

function codeOf(finding: YAMLError): DiagnosticCode {
  return UNSUPPORTED.has(finding.code) ? 'YAML_UNSUPPORTED' : 'YAML_SYNTAX'
}

function reasonOf(finding: YAMLError): string {
  const known = /^Flow .* end with a [\]}]/.test(finding.message) ? UNCLOSED : REASONS[finding.code]
  if (known !== undefined) return known
  const text = finding.message.split('\n')[0] ?? ''
  return `${text.charAt(0).toLowerCase()}${text.slice(1, 200)}`
}

/** `{ port: ${PORT} }` reads as a map inside a map: the most likely mistake, and the parser's words do not say so. */
function hintFor(source: SourceText, finding: YAMLError): string | undefined {
  const [start] = finding.pos
  const isReference = source.text.startsWith('${', start) || source.text.startsWith('${', start - 1)
  if (isReference) return 'quote a value with "${...}", always inside { } and [ ]'
  return reasonOf(finding) === UNCLOSED ? undefined : HINTS[finding.code]
}
