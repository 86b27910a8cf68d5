import { checkDirectory } from '../../check/check-directory.ts'
import type { Diagnostic } from '../../diagnostics/diagnostic.ts'
import { EXIT, failure } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { exitCodeOf, type Findings, printFindings } from '../say-findings.ts'

/** `check`: the findings about a source tree are the result. */
export function run({ words, values }: Invocation<'check'>, host: Host): number {
  const [directory = ''] = words
  const found = inDirectory(directory, lint(directory, values))
  printFindings(host, found, values.format)
  if (found.diagnostics.length === 0 && !values.quiet) host.say(`${directory}: nothing wrong\n`)
  return exitCodeOf(found.diagnostics, values.strict)
}

function lint(directory: string, values: Invocation<'check'>['values']): Findings {
  try {
    return checkDirectory(directory, { overlayVersion: values['s6-overlay'], compile: !values['rules-only'] })
  } catch (error) {
    const { message } = error as Error
    throw message.startsWith('cannot check') ? failure(EXIT.system, message) : error
  }
}

/** With paths that lead to the files from here, for terminals and pull requests to open. */
function inDirectory(directory: string, { diagnostics, texts }: Findings): Findings {
  const prefix = directory.replace(/\/*$/, '')
  const path = (file: string) => (file === '.' ? prefix : `${prefix}/${file}`)
  const placed = <Place extends { readonly file: string }>(place: Place): Place => ({
    ...place,
    file: path(place.file),
  })
  return {
    diagnostics: diagnostics.map(
      (finding): Diagnostic =>
        finding.related === undefined ? placed(finding) : { ...placed(finding), related: finding.related.map(placed) },
    ),
    texts: new Map([...texts].map(([file, text]) => [path(file), text])),
  }
}
