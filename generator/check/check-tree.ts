import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { type Compilation, compilationOf, type OwnService } from './compilation.ts'
import { compilationsOf } from './compilations.ts'
import { type Finding, mistake, wholeOf } from './finding.ts'
import { backgroundRules, finishRules } from './rules/daemons.ts'
import { environmentRules } from './rules/environment.ts'
import {
  emptyBundleRules,
  fileKindRules,
  missingFileRules,
  shadowedListRules,
  sourceEntryRules,
  typeRules,
} from './rules/files.ts'
import { cycleRules, undefinedNameRules } from './rules/graph.ts'
import { duplicateRules, nameRules } from './rules/names.ts'
import { deathTallyRules, descriptorRules, numberRules, signalRules } from './rules/numbers.ts'
import { calledScriptRules, oneshotRules } from './rules/oneshots.ts'
import { baseRules, layoutRules, reachabilityRules } from './rules/overlay-layout.ts'
import { pipelineNameRules, pipelineRules } from './rules/pipelines.ts'
import { notificationRules, timeoutRules } from './rules/readiness.ts'
import { scriptRules, stderrRules } from './rules/scripts.ts'
import {
  type DirectoryEntry,
  directoryAt,
  entryAt,
  exists,
  type SourceTree,
  visibleDirectories,
} from './source-tree.ts'

type Rule = (compilation: Compilation) => Iterable<Finding>

export interface CheckTreeOptions {
  /** The s6-overlay version the tree is for, e.g. `3.2.3.2`; layout rules that depend on it stay silent without. */
  readonly overlayVersion?: string | undefined
}

/** What any directory supervised by s6-supervise has to keep to. */
const SERVICE_DIRECTORY_RULES: readonly Rule[] = [
  ...[numberRules, descriptorRules, deathTallyRules, signalRules],
  ...[notificationRules, scriptRules, backgroundRules, finishRules, environmentRules],
]

const S6_RC_RULES: readonly Rule[] = [
  ...[nameRules, duplicateRules, sourceEntryRules],
  ...[typeRules, missingFileRules, fileKindRules, shadowedListRules, emptyBundleRules],
  ...[undefinedNameRules, cycleRules, pipelineRules, pipelineNameRules],
  ...[timeoutRules, oneshotRules, calledScriptRules, stderrRules],
  ...[layoutRules, reachabilityRules, baseRules],
  ...SERVICE_DIRECTORY_RULES,
]

/** All findings about a tree, sorted by file and position. Pure. */
export function checkTree(tree: SourceTree, options: CheckTreeOptions = {}): Diagnostic[] {
  return findingsOf(tree, options).map((finding) => finding.diagnostic)
}

/** The same, each with whether s6-rc-compile stops at it. */
export function findingsOf(tree: SourceTree, options: CheckTreeOptions = {}): Finding[] {
  const findings = tree.layout === 'scan' ? scanFindings(tree.root) : compiledFindings(tree, options)
  const marker = entryAt(tree.root, '.machinegen/unfinished')
  if (marker !== undefined) {
    const hint = 'run the same "machinegen render" again: it completes the tree'
    const message = 'cannot use the tree: a render into it was interrupted, and it is neither the old nor the new one'
    findings.push(mistake('S6_UNFINISHED', wholeOf(marker), message, { hint }))
  }
  return findings.sort(byPosition)
}

function compiledFindings(tree: SourceTree, options: CheckTreeOptions): Finding[] {
  const compilations = compilationsOf(tree, options.overlayVersion)
  const findings = compilations.flatMap((compilation) => S6_RC_RULES.flatMap((rule) => [...rule(compilation)]))
  if (compilations.every((compilation) => compilation.services.length === 0)) {
    const hint =
      'name a root file system with s6-overlay, a directory with "s6-rc.d", or one whose directories are services'
    findings.push(mistake('S6_NO_SERVICES', wholeOf(tree.root), 'cannot find a service in the directory', { hint }))
  }
  return findings
}

/** A scan directory: every child and its logger is a longrun, and no s6-rc-compile will look at it. */
function scanFindings(root: DirectoryEntry): Finding[] {
  const services = visibleDirectories(root).flatMap(([name, directory]) => {
    const logger = directoryAt(directory, 'log')
    return [scanned(name, directory), ...(logger === undefined ? [] : [scanned(`${name}/log`, logger)])]
  })
  const compilation: Compilation = { ...compilationOf([]), services }
  const missing = services
    .filter(({ directory }) => !exists(directory, 'run'))
    .map(({ name, directory }) =>
      mistake('S6_MISSING_FILE', wholeOf(directory), `cannot supervise "${name}": it has no "run"`),
    )
  const findings = SERVICE_DIRECTORY_RULES.flatMap((rule) => [...rule(compilation)])
  return [...missing, ...findings].map((finding) => ({ ...finding, rejects: false }))
}

function scanned(name: string, directory: DirectoryEntry): OwnService {
  return { name, kind: 'longrun', directory, dependencies: [], contents: [] }
}

function byPosition({ diagnostic: a }: Finding, { diagnostic: b }: Finding): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.range.start.offset - b.range.start.offset || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0)
}
