import { readCustomNode } from '../../schema/custom-node.ts'
import { isRefName, readGitUrl } from '../../schema/git-url.ts'
import type { CustomNode as NodeEntry } from '../../schema/machine.ts'
import type { PlannedCustomNodes, PlannedGit, PlannedNode, PlannedWorkflows } from '../../schema/plan.ts'
import { childPointer, type Pointer } from '../load/origin.ts'
import { isReference } from '../services/program.ts'
import type { PlanContext } from '../services/service-type.ts'
import { hasLiteralSecret, isSecretVariable } from '../validate/secret-places.ts'
import { lockedCommit } from './lock-file.ts'
import { placePath } from './paths.ts'
import { durationMs } from './quantities.ts'

/** The custom nodes of a machine; entries that cannot be used are reported and left out. */
export function planCustomNodes(context: PlanContext): PlannedCustomNodes | null {
  const { customNodes, services, paths: declared } = context.settings
  if (customNodes === undefined || (customNodes.file === undefined && customNodes.nodes.length === 0)) return null
  const { comfyui } = services
  if (comfyui?.enabled !== true) {
    reportWithoutComfyui(context)
    return null
  }
  const { shared } = context.paths
  const nodes = customNodes.nodes.flatMap((entry, index) => planNode(context, entry, index) ?? [])
  reportTwins(context, nodes)
  const sharedAsDeclared = declared.shared.startsWith('/')
    ? declared.shared
    : `${declared.workspace}/${declared.shared}`
  return {
    file: customNodes.file === undefined ? null : placePath(customNodes.file, sharedAsDeclared, shared),
    nodes,
    directory: `${shared}/custom_nodes`,
    parallel: customNodes.parallel,
    python: context.simulate ? null : { command: comfyui.python, directory: context.place(comfyui.directory) },
    user: comfyui.user ?? null,
  }
}

function reportWithoutComfyui({ report, settings }: PlanContext): void {
  const isThere = settings.services.comfyui !== undefined
  report({
    code: 'DEPENDENCY_DISABLED',
    severity: 'warning',
    pointer: '/customNodes',
    part: 'key',
    message: 'cannot install "customNodes": "comfyui" does not run on this machine',
    hint: isThere
      ? 'enable "comfyui", or remove "customNodes"'
      : 'add "comfyui" to the services, or remove "customNodes"',
  })
}

function planNode(context: PlanContext, entry: NodeEntry, index: number): PlannedNode | null {
  const pointer = `/customNodes/nodes/${index}`
  const read = readCustomNode(entry)
  if ('problem' in read) {
    context.report({
      code: read.field === 'url' && read.problem.includes('password') ? 'UNSAFE_VALUE' : 'INVALID_VALUE',
      severity: 'error',
      pointer: read.field === null ? pointer : childPointer(pointer, read.field),
      message: `cannot use customNodes.nodes[${index}]${read.field === null ? '' : `.${read.field}`}: ${read.problem}`,
    })
    return null
  }
  const { node } = read
  checkProtocol(context, node.protocol, childPointer(pointer, 'url'))
  return {
    entry: `customNodes.nodes[${index}]`,
    name: node.name,
    url: node.url,
    branch: node.branch,
    commit: lockedCommit(context, node, index) ?? node.commit,
    recursive: node.recursive,
    requirements: node.requirements,
    ...planNodeEnvironment(context, node.env, index),
    customScript: node.customScript,
    required: node.required,
  }
}

/** Templates are no secrets; what stands in clear under the name of one is. */
function planNodeEnvironment(
  context: PlanContext,
  env: Readonly<Record<string, string>>,
  index: number,
): Pick<PlannedNode, 'environment' | 'secretEnvironment'> {
  const environment: Record<string, string> = {}
  const secretEnvironment: Record<string, string> = {}
  for (const [name, value] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const isSecret = isSecretVariable(name, value)
    const isKept = isReference(value) ? hasLiteralSecret(value, isSecret) : value !== '' && isSecret
    if (!isKept) {
      environment[name] = value
      continue
    }
    const pointer = ['customNodes', 'nodes', index, 'env', name].reduce<Pointer>(childPointer, '')
    const secret = context.secret(pointer, `customNodes.${index}.${name}`, value)
    if (secret !== null) secretEnvironment[name] = secret
  }
  return { environment, secretEnvironment }
}

function reportTwins({ report }: PlanContext, nodes: readonly PlannedNode[]): void {
  const owners = new Map<string, PlannedNode>()
  for (const node of nodes) {
    const owner = owners.get(node.name)
    owners.set(node.name, owner ?? node)
    if (owner === undefined) continue
    report({
      code: 'NAME_CONFLICT',
      severity: 'error',
      pointer: pointerOf(node),
      message: `cannot install ${node.entry} as "${node.name}": ${owner.entry} is called that`,
      hint: 'give one of them another name',
      related: [{ pointer: pointerOf(owner), message: `${owner.entry} is called "${node.name}" as well` }],
    })
  }
}

const pointerOf = ({ entry }: PlannedNode): Pointer =>
  `/customNodes/nodes/${entry.slice('customNodes.nodes['.length, -1)}`

function checkProtocol({ settings, report }: PlanContext, protocol: string, pointer: Pointer): void {
  const { protocols } = settings.git
  if (protocols.some((allowed) => allowed === protocol)) return
  report({
    code: 'INVALID_VALUE',
    severity: 'error',
    pointer,
    message: `cannot fetch from there: git may not use ${protocol} on this machine`,
    hint: `use ${protocols.join(' or ')}, or add it to git.protocols`,
  })
}

/** The repository of the workflows; `null` where the machine has none, or one that was reported. */
export function planWorkflows(context: PlanContext): PlannedWorkflows | null {
  const { workflows, services } = context.settings
  if (workflows === undefined) return null
  const { repository, branch, directory, push, interval } = workflows
  const url = readGitUrl(repository)
  const refuse = (field: string, why: string) => {
    const pointer = `/workflows/${field}`
    context.report({
      code: 'INVALID_VALUE',
      severity: 'error',
      pointer,
      message: `cannot use workflows.${field}: ${why}`,
    })
    return null
  }
  if ('problem' in url) return refuse('repository', url.problem)
  if (!isRefName(branch)) return refuse('branch', `"${branch}" cannot be the name of a branch`)
  checkProtocol(context, url.protocol, '/workflows/repository')
  const { shared } = context.paths
  return {
    repository: url.url,
    branch,
    workTree: directory === undefined ? `${shared}/workflows` : shared,
    part: directory ?? null,
    push,
    intervalMs: interval === undefined ? null : durationMs(interval),
    user: services.comfyui?.enabled === true ? (services.comfyui.user ?? null) : null,
  }
}

/** How git reaches its hosts; secrets are planned only where something comes from them. */
export function planGit(context: PlanContext): PlannedGit {
  const { protocols, credentials, sshKey, knownHosts } = context.settings.git
  return {
    protocols,
    credentials: credentials.flatMap(({ host, user, token }, index) => {
      const tokenSecret = context.secret(`/git/credentials/${index}/token`, `git.${index}.token`, token)
      return tokenSecret === null ? [] : [{ host: host.toLowerCase(), user, tokenSecret }]
    }),
    sshKeySecret: protocols.includes('ssh') ? context.secret('/git/sshKey', 'git.ssh-key', sshKey) : null,
    knownHosts,
  }
}
