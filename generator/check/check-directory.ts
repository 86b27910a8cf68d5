import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { findingsOf } from './check-tree.ts'
import { compilationsOf } from './compilations.ts'
import { compilationVerdict } from './compile-verdict.ts'
import { doubt, type Finding, mistake, wholeOf } from './finding.ts'
import { readSourceTree } from './read-source-tree.ts'
import { fileAt, type SourceTree, textOf } from './source-tree.ts'

export interface CheckOptions {
  /** The s6-overlay version the tree is for, e.g. `3.2.3.2`. */
  readonly overlayVersion?: string | undefined
  /**
   * Whether to ask the s6-rc-compile on PATH too, where there is one.
   * @default true
   */
  readonly compile?: boolean | undefined
}

export interface CheckResult {
  /** Sorted by file and position. Empty means clean. */
  readonly diagnostics: Diagnostic[]
  /** The texts that findings point into, by the name the findings give. */
  readonly texts: Map<string, string>
}

/**
 * Lints an s6-rc source tree, whoever made it: a rootfs, an s6-overlay profile, one source or several. Writes nothing.
 *
 * @throws Error `cannot check "DIR": ...` where the directory cannot be read or an option is no version.
 */
export function checkDirectory(directory: string, options: CheckOptions = {}): CheckResult {
  const { overlayVersion } = options
  if (overlayVersion !== undefined && !/^\d+(?:\.\d+)*$/.test(overlayVersion)) {
    throw new Error(`cannot check "${directory}": s6-overlay version "${overlayVersion}" is not like 3.2.3.2`)
  }
  const tree = readSourceTree(directory)
  const findings = findingsOf(tree, options)
  if (options.compile !== false) findings.unshift(...disagreements(directory, tree, findings, overlayVersion))
  const diagnostics = findings.map((finding) => finding.diagnostic)
  return { diagnostics, texts: textsOf(tree, diagnostics) }
}

/** Where s6-rc-compile and the rules come to different verdicts: one of them is wrong, and the user should know. */
function disagreements(
  directory: string,
  tree: SourceTree,
  findings: readonly Finding[],
  overlayVersion: string | undefined,
): Finding[] {
  const isBlind = findings.some(({ diagnostic, rejects }) => diagnostic.code === 'S6_UNREADABLE' && !rejects)
  if (isBlind || tree.absoluteLinks) return []
  const rejecting = findings.filter((finding) => finding.rejects)
  const verdicts = compilationsOf(tree, overlayVersion)
    .filter((compilation) => compilation.services.length > 0)
    .map((compilation) => compilationVerdict(directory, compilation))
    .filter((verdict) => verdict.available)
  if (verdicts.length === 0) return []
  const refused = verdicts.find((verdict) => !verdict.accepted)
  const place = wholeOf(tree.root)
  if (refused !== undefined && rejecting.length === 0) {
    const message = `cannot compile the tree: ${refused.message}`
    const hint = 's6-rc-compile says so; no rule of this check foresaw it'
    return [mistake('S6_COMPILER_DISAGREES', place, message, { hint })]
  }
  if (refused === undefined && rejecting.length > 0) {
    const codes = [...new Set(rejecting.map(({ diagnostic }) => diagnostic.code))].join(', ')
    const message = `cannot confirm ${codes}: the s6-rc-compile on PATH accepts the tree`
    const hint = 'another version of s6-rc may refuse it'
    return [doubt('S6_COMPILER_DISAGREES', place, message, { hint })]
  }
  return []
}

function textsOf(tree: SourceTree, diagnostics: readonly Diagnostic[]): Map<string, string> {
  const texts = new Map<string, string>()
  const places = diagnostics.flatMap((diagnostic) => [diagnostic, ...(diagnostic.related ?? [])])
  for (const { file } of places) {
    const entry = fileAt(tree.root, file)
    if (entry !== undefined && !texts.has(file)) texts.set(file, textOf(entry))
  }
  return texts
}
