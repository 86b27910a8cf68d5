import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { extname, join, relative } from 'node:path'

/** One entry of /sdapi/v1/sd-models. */
export interface Checkpoint {
  readonly title: string
  readonly model_name: string
  readonly hash: string | null
  readonly sha256: string | null
  readonly filename: string
  readonly config: string | null
}

/** What the real program downloads when it finds no model and is allowed to. */
const DEFAULT_MODEL = 'v1-5-pruned-emaonly.safetensors'

/**
 * The checkpoints below a directory. The hashes come from the names: hashing the real files takes the real program minutes.
 */
export function listCheckpoints(directory: string, downloadsModel: boolean): Checkpoint[] {
  const found = filesBelow(directory).filter((file) => ['.ckpt', '.safetensors'].includes(extname(file)))
  const files = found.length === 0 && downloadsModel ? [DEFAULT_MODEL] : found.sort()
  return files.map((file) => {
    const sha256 = createHash('sha256').update(file).digest('hex')
    const hash = sha256.slice(0, 10)
    return {
      title: `${file} [${hash}]`,
      model_name: file.slice(0, -extname(file).length).replaceAll('/', '_'),
      hash,
      sha256,
      filename: join(directory, file),
      config: null,
    }
  })
}

/** The checkpoint that a user means by a title, a name, a file or a hash. */
export function findCheckpoint(checkpoints: readonly Checkpoint[], wanted: string): Checkpoint | undefined {
  return checkpoints.find((checkpoint) => {
    const file = checkpoint.title.slice(0, checkpoint.title.lastIndexOf(' ['))
    return [checkpoint.title, checkpoint.model_name, file, checkpoint.hash, checkpoint.sha256].includes(wanted)
  })
}

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
  } catch {
    return []
  }
}
