import { isCommitName, isRefName, readGitUrl } from './git-url.ts'

/** A custom node as a list names it, checked. */
export interface CustomNode {
  /** Its directory in `custom_nodes`. */
  readonly name: string
  readonly url: string
  readonly protocol: string
  readonly branch: string | null
  readonly commit: string | null
  readonly recursive: boolean
  readonly requirements: boolean
  /** Variable -> template, for its `.env`. */
  readonly env: Readonly<Record<string, string>>
  readonly customScript: string | null
  readonly required: boolean
}

export type ReadNode = { readonly node: CustomNode } | { readonly problem: string; readonly field: string | null }

const MAX_NAME_BYTES = 120

/**
 * Reads one entry of a list of nodes: the eight fields of the original machines, and `required`. `name` is for lists that
 * are maps of nodes by their names. Fields that nobody knows are left alone, as the originals did.
 */
export function readCustomNode(value: unknown, name: string | null = null): ReadNode {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(null, 'it is no map')
  const entry = value as Readonly<Record<string, unknown>>
  const text = (field: string): string | null => {
    const found = entry[field]
    return typeof found === 'string' && found.trim() !== '' ? found.trim() : null
  }
  const wrong = TEXTS.find((field) => !isNothing(entry[field]) && typeof entry[field] !== 'string')
  if (wrong !== undefined) return refuse(wrong, 'it is no text')
  const url = readGitUrl(text('url') ?? '')
  if ('problem' in url) return refuse('url', url.problem)
  const directory = text('name') ?? name ?? url.name
  const unusable = nameProblem(directory)
  if (unusable !== null) return refuse('name', unusable)
  const branch = text('branch')
  if (branch !== null && !isRefName(branch)) return refuse('branch', `"${branch}" cannot be the name of a branch`)
  const commit = text('commit')
  if (commit !== null && !isCommitName(commit)) return refuse('commit', `"${commit}" is no SHA of a commit`)
  const env = readEnv(entry.env)
  if (env === null) return refuse('env', 'it is no map of variables and their values')
  const node: CustomNode = {
    name: directory,
    url: url.url,
    protocol: url.protocol,
    branch,
    commit: commit?.toLowerCase() ?? null,
    recursive: isTrue(entry.recursive),
    requirements: isTrue(entry.requirements),
    env,
    customScript: text('custom_script'),
    required: isTrue(entry.required),
  }
  return { node }
}

const TEXTS = ['name', 'url', 'branch', 'commit', 'custom_script'] as const

const refuse = (field: string | null, problem: string) => ({ problem, field })

const isNothing = (value: unknown): boolean => value === undefined || value === null

/** Lists that people write by hand have `"true"` as well. */
const isTrue = (value: unknown): boolean => value === true || value === 'true'

/** Why a name cannot be a directory in `custom_nodes`, or `null`. */
function nameProblem(name: string): string | null {
  if (/[/\\\x00-\x1f\x7f]/.test(name) || name === '.' || name === '..') return `"${name}" leads out of custom_nodes`
  if (/^[.-]/.test(name)) return `"${name}" begins with "${name[0]}"`
  if (name.endsWith('.disabled') || name === '__pycache__') return `ComfyUI does not load what is called "${name}"`
  return Buffer.byteLength(name) > MAX_NAME_BYTES ? `it has more than ${MAX_NAME_BYTES} bytes` : null
}

function readEnv(value: unknown): Readonly<Record<string, string>> | null {
  if (isNothing(value)) return {}
  if (typeof value !== 'object' || Array.isArray(value)) return null
  const entries = Object.entries(value as object)
  const isUsable = entries.every(
    ([key, item]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) && (isNothing(item) || typeof item !== 'object'),
  )
  return isUsable ? Object.fromEntries(entries.map(([key, item]) => [key, isNothing(item) ? '' : String(item)])) : null
}
