import { Composer, type CST, type Document, Lexer, type ParsedNode, Parser } from 'yaml'
import { errorAt, type Report, type SourceText } from './source-text.ts'
import { reportSyntaxErrors } from './syntax-errors.ts'

/** A machine file nests about eight levels. Everything that walks a document may recurse this deep. */
export const MAX_DEPTH = 100

/**
 * A line `key: value` has eight tokens, so this is some 15,000 lines: ten times the largest machine anybody has, and
 * as much as is parsed within a second on a slow machine, whatever its shape.
 */
const MAX_TOKENS = 120_000

export interface ParsedText {
  /** `undefined` where the text has no content, or was given up before the end. */
  readonly contents: ParsedNode | undefined
  /** Where the first syntax error is; what the tree says after it is guesswork. `Infinity` if there is none. */
  readonly brokenFrom: number
}

/**
 * One YAML 1.2 document as a tree with offsets. Driven token by token, so that nesting, size and a second document
 * are noticed before a tree is built of them. Key uniqueness is left to the caller: here it would cost a comparison
 * of every two keys.
 */
export function parseYaml(source: SourceText, report: Report): ParsedText {
  const { stackTraceLimit } = Error
  // The parser makes an Error for each finding: their stack traces would be most of the time a broken file takes.
  Error.stackTraceLimit = 0
  try {
    return compose(source, report)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

function compose(source: SourceText, report: Report): ParsedText {
  const composer = new Composer({
    uniqueKeys: false,
    stringKeys: true,
    prettyErrors: false,
    resolveKnownTags: false,
    logLevel: 'silent',
  })
  const documents: Document.Parsed[] = []
  for (const token of readTokens(source, report)) {
    if (token === 'given up') return { contents: undefined, brokenFrom: 0 }
    documents.push(...(composer.next(token) as Iterable<Document.Parsed>))
  }
  documents.push(...(composer.end(true, source.text.length) as Iterable<Document.Parsed>))
  const [document] = documents
  const findings = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])
  const brokenFrom = reportSyntaxErrors(source, findings, report)
  return { contents: document?.contents ?? undefined, brokenFrom }
}

/** The tokens of the first document, or `given up` after a report. */
function* readTokens(source: SourceText, report: Report): Generator<CST.Token | 'given up'> {
  const parser = new Parser()
  let documents = 0
  let tokens = 0
  for (const lexeme of new Lexer().lex(source.text)) {
    tokens += 1
    for (const token of parser.next(lexeme)) {
      if (token.type === 'document') documents += 1
      if (token.type === 'directive') refuseOldYaml(source, token, report)
      yield token
      // The parser has lost the structure: it would only complain about each token that is left.
      if (token.type === 'error') return
    }
    const [outermost] = parser.stack
    if (documents > 0 && outermost?.type === 'document') {
      const message = 'cannot read a second document: a machine file is one document'
      const place = { source, start: outermost.offset, end: outermost.offset + 3 }
      return report(errorAt(place, 'YAML_UNSUPPORTED', message, 'give each document as a file of its own, with -f'))
    }
    if (tokens > MAX_TOKENS || parser.stack.length > MAX_DEPTH) {
      reportOverLimit(source, parser, report)
      return yield 'given up'
    }
  }
  yield* parser.end()
}

function reportOverLimit(source: SourceText, parser: Parser, report: Report): void {
  const place = { source, start: parser.offset, end: parser.offset + 1 }
  if (parser.stack.length > MAX_DEPTH) {
    const message = `cannot read on: more than ${MAX_DEPTH} levels are nested`
    report(errorAt(place, 'YAML_UNSUPPORTED', message, 'no part of a machine file is nested that deep'))
  } else {
    const message = `cannot read on: the text has more than ${MAX_TOKENS} tokens, some 15000 lines`
    report(errorAt(place, 'INPUT_TOO_LARGE', message, 'is this a machine file?'))
  }
}

/** YAML 1.1 reads `yes` as true and `010` as 8; a directive must not change what a file means. */
function refuseOldYaml(source: SourceText, directive: { offset: number; source: string }, report: Report): void {
  if (!/^%YAML\s+1\.[01]\b/.test(directive.source)) return
  const place = { source, start: directive.offset, end: directive.offset + directive.source.length }
  const message = `cannot read by the rules of "${directive.source}": machine files are YAML 1.2`
  report(errorAt(place, 'YAML_UNSUPPORTED', message, 'leave the directive out'))
}
