/** Model folders: the built-in ones and those of extra_model_paths files, by the rules of utils/extra_config.py. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, extname, join, relative, resolve } from 'node:path'

export interface ModelFolder {
  readonly paths: string[]
  /** No filter: every file counts. */
  readonly extensions: ReadonlySet<string> | undefined
}

export type ModelFolders = Map<string, ModelFolder>

const MODEL_EXTENSIONS = new Set(['.ckpt', '.pt', '.pt2', '.bin', '.pth', '.safetensors', '.pkl', '.sft'])
const LEGACY_NAMES: Readonly<Record<string, string>> = { unet: 'diffusion_models', clip: 'text_encoders' }

/** Folder types in folder_paths.py's order, with the directories below models/ that each has. */
const BUILT_IN: readonly (readonly [string, readonly string[]])[] = [
  ['checkpoints', ['checkpoints']],
  ['configs', ['configs']],
  ['loras', ['loras']],
  ['vae', ['vae']],
  ['text_encoders', ['text_encoders', 'clip']],
  ['diffusion_models', ['unet', 'diffusion_models']],
  ['clip_vision', ['clip_vision']],
  ['style_models', ['style_models']],
  ['embeddings', ['embeddings']],
  ['diffusers', ['diffusers']],
  ['vae_approx', ['vae_approx']],
  ['controlnet', ['controlnet', 't2i_adapter']],
  ['gligen', ['gligen']],
  ['upscale_models', ['upscale_models']],
  ['hypernetworks', ['hypernetworks']],
  ['photomaker', ['photomaker']],
  ['classifiers', ['classifiers']],
  ['model_patches', ['model_patches']],
  ['audio_encoders', ['audio_encoders']],
]

/** The folders of a fresh installation. `output` adds the places where nodes save models. */
export function builtInFolders(directories: { base: string; models: string; output: string }): ModelFolders {
  const folders: ModelFolders = new Map()
  for (const [type, names] of BUILT_IN) {
    const extensions = type === 'configs' ? new Set(['.yaml']) : type === 'diffusers' ? undefined : MODEL_EXTENSIONS
    folders.set(type, { paths: names.map((name) => join(directories.models, name)), extensions })
  }
  folders.set('custom_nodes', { paths: [join(directories.base, 'custom_nodes')], extensions: undefined })
  for (const type of ['checkpoints', 'clip', 'vae', 'diffusion_models', 'loras']) {
    addPath(folders, type, join(directories.output, type), false)
  }
  return folders
}

function addPath(folders: ModelFolders, type: string, path: string, first: boolean): void {
  const name = LEGACY_NAMES[type] ?? type
  const folder = folders.get(name) ?? { paths: [], extensions: undefined }
  folders.set(name, folder)
  const at = folder.paths.indexOf(path)
  if (at >= 0 && !first) return
  if (at >= 0) folder.paths.splice(at, 1)
  if (first) folder.paths.unshift(path)
  else folder.paths.push(path)
}

/**
 * Adds the folders of one extra_model_paths file and gives the log lines. Throws what Python would: a missing file, bad
 * YAML, and a list where a string belongs, which is the usual mistake.
 */
export async function loadExtraPaths(folders: ModelFolders, file: string): Promise<string[]> {
  if (!existsSync(file)) throw new Error(`FileNotFoundError: [Errno 2] No such file or directory: '${file}'`)
  const { parse } = await import('yaml')
  const document: unknown = parse(readFileSync(file, 'utf8'))
  const lines: string[] = []
  if (document === null || document === undefined) return lines
  for (const section of Object.values(document as Record<string, Record<string, unknown> | null>)) {
    if (section === null) continue
    const { base_path: base, is_default: isDefault, ...types } = section
    const root = base === undefined ? undefined : resolve(dirname(resolve(file)), expand(String(base)))
    for (const [type, value] of Object.entries(types)) {
      if (typeof value !== 'string')
        throw new Error(`AttributeError: '${pythonType(value)}' object has no attribute 'split'`)
      for (const line of value.split('\n').filter((text) => text !== '')) {
        const path = root === undefined ? resolve(dirname(resolve(file)), line) : join(root, line)
        lines.push(`Adding extra search path ${type} ${path}`)
        addPath(folders, type, path.replace(/(.)\/$/, '$1'), isDefault === true)
      }
    }
  }
  return lines
}

const pythonType = (value: unknown) =>
  Array.isArray(value) ? 'list' : value === null ? 'NoneType' : typeof value === 'object' ? 'dict' : typeof value

function expand(path: string): string {
  const home = path === '~' || path.startsWith('~/') ? homedir() + path.slice(1) : path
  return home.replaceAll(/\$(\w+)|\$\{(\w+)\}/g, (whole, plain, braced) => process.env[plain ?? braced] ?? whole)
}

/** Relative names of the model files of one type, sorted, each once; nothing for an unknown type. */
export function listModels(folders: ModelFolders, type: string): string[] | undefined {
  const folder = folders.get(LEGACY_NAMES[type] ?? type)
  if (folder === undefined) return undefined
  const names = new Set<string>()
  for (const path of folder.paths) {
    for (const name of filesBelow(path)) {
      if (folder.extensions === undefined || folder.extensions.has(extname(name).toLowerCase())) names.add(name)
    }
  }
  return [...names].sort()
}

function filesBelow(path: string): string[] {
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(path, join(entry.parentPath, entry.name)))
  } catch {
    return []
  }
}
