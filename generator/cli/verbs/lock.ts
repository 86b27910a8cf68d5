import { renameSync, writeFileSync } from 'node:fs'
import { resolveNodeCommits } from '../../../runtime/provision/custom-nodes/resolve-commits.ts'
import { lockModel } from '../../../runtime/provision/models/lock-model.ts'
import { isWholeCommit } from '../../../schema/git-url.ts'
import type { Plan } from '../../../schema/plan.ts'
import { type LockedModel, type LockedNode, parseLockFile } from '../../plan/lock-file.ts'
import { compileMachine } from '../compile-machine.ts'
import { complaint, EXIT, failure } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { layerFiles, lockFileOf } from '../layers.ts'
import { hasError, sayFindings } from '../say-findings.ts'

/** `lock`: asks the sources of all models and custom nodes what they have, and writes it beside the machine file. The only verb with network. */
export async function run({ words, values }: Invocation<'lock'>, host: Host): Promise<number> {
  const file = lockFileOf(layerFiles(words, values.file))
  if (file === null) throw failure(EXIT.usage, 'cannot lock standard input', 'name the machine file')
  const request = { words, values: { ...CONTAINER, ...values }, isUnlocked: true } as const
  const { compilation, lock } = compileMachine(request, host)
  const { plan, diagnostics } = compilation
  sayFindings(host, compilation, values.format)
  if (plan === null || hasError(diagnostics)) return EXIT.findings
  const parsed = lock === null ? null : parseLockFile(lock.text)
  const known = parsed !== null && 'models' in parsed ? parsed : null
  const models = await lockAll(plan, known?.models ?? [], host, values.quiet)
  const nodes = await lockNodes(plan, known?.nodes ?? [], host, values.quiet)
  if (models === null || nodes === null) return EXIT.findings
  const text = `${JSON.stringify({ version: 1, models, ...(nodes.length === 0 ? {} : { nodes }) }, null, 2)}\n`
  const isSame = lock?.text === text
  if (values.check) {
    if (!isSame) host.print(`${file} is not up to date\n`)
    return isSame ? EXIT.done : EXIT.findings
  }
  if (!isSame) writeLock(file, text)
  if (!values.quiet) host.say(`${file}: ${countOf(models, nodes)}, ${isSame ? 'unchanged' : 'written'}\n`)
  return EXIT.done
}

/** What a lock depends on is the same wherever the machine runs. */
const CONTAINER = {
  target: 'container',
  simulate: false,
  'port-offset': undefined,
  'state-dir': undefined,
  root: undefined,
} as const

/** In the order of the URLs, so that a changed order of the entries is no change. `null` where one could not be had. */
async function lockAll(
  plan: Plan,
  known: readonly LockedModel[],
  host: Host,
  isQuiet: boolean,
): Promise<LockedModel[] | null> {
  const locked = new Map<string, LockedModel>()
  let hasFailed = false
  for (const model of plan.provisioning.models) {
    const before = known.find(({ url }) => url === model.url) ?? null
    const result = await lockModel(model, before, { plan, environment: host.environment })
    if ('problem' in result) {
      hasFailed = true
      host.say(complaint(result.problem))
      continue
    }
    const isNew = before?.sha256 !== result.sha256
    if (!isQuiet) host.say(`${isNew ? 'locked' : 'same'}  ${result.sha256.slice(0, 12)}  ${model.url}\n`)
    locked.set(model.url, result)
  }
  if (hasFailed) return null
  return [...locked.keys()].sort().map((url) => locked.get(url) as LockedModel)
}

/** The nodes of the machine file that have no commit yet; a list on the volume is not there when this runs. */
async function lockNodes(
  plan: Plan,
  known: readonly LockedNode[],
  host: Host,
  isQuiet: boolean,
): Promise<LockedNode[] | null> {
  const listed = plan.provisioning.customNodes?.nodes ?? []
  const nodes = listed.filter(({ commit }) => commit === null || !isWholeCommit(commit))
  const locked = new Map<string, LockedNode>()
  let hasFailed = false
  for (const node of await resolveNodeCommits(nodes, { plan, environment: host.environment })) {
    if ('problem' in node) {
      hasFailed = true
      host.say(complaint(node.problem))
      continue
    }
    const before = known.find(({ url, branch }) => url === node.url && branch === node.branch)
    const isNew = before?.commit !== node.commit
    if (!isQuiet) host.say(`${isNew ? 'locked' : 'same'}  ${node.commit.slice(0, 12)}  ${node.url}\n`)
    locked.set(`${node.url} ${node.branch ?? ''}`, node)
  }
  if (hasFailed) return null
  return [...locked.keys()].sort().map((key) => locked.get(key) as LockedNode)
}

function countOf(models: readonly LockedModel[], nodes: readonly LockedNode[]): string {
  return nodes.length === 0 ? `${models.length} models` : `${models.length} models, ${nodes.length} custom nodes`
}

function writeLock(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}
