/** Models on disk under OLLAMA_MODELS: `manifests/<host>/<namespace>/<model>/<tag>` and `blobs/sha256-<hex>`. */
import { createHash } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type ModelName, parseModelName } from './model-name.ts'
import type { Layer, Manifest } from './registry.ts'

export interface StoredModel {
  readonly name: ModelName
  readonly manifest: Manifest
  /** The sha256 of the manifest, without a prefix. */
  readonly digest: string
  readonly size: number
  readonly modifiedAt: string
}

export interface Store {
  readonly directory: string
  blobPath(digest: string): string
  hasBlob(digest: string): boolean
  /** True if the blob's content has its digest. */
  verify(digest: string): Promise<boolean>
  write(name: ModelName, manifest: Manifest): void
  find(name: ModelName): StoredModel | undefined
  /** The newest first. */
  list(): StoredModel[]
  /** Removes a model and the blobs that no other model has. */
  remove(name: ModelName): void
  /** Removes blobs without a model and partial downloads, unless they are fresh. */
  prune(): void
}

/** server/images.go spares what is younger at start, so that a pull continues after a restart. */
const PRUNE_GRACE_MS = 60 * 60_000

export function openStore(directory: string): Store {
  const blobs = join(directory, 'blobs')
  const manifests = join(directory, 'manifests')
  mkdirSync(blobs, { recursive: true })
  mkdirSync(manifests, { recursive: true })
  const blobPath = (digest: string) => join(blobs, digest.replace(':', '-'))
  const manifestPath = ({ host, namespace, model, tag }: ModelName) => join(manifests, host, namespace, model, tag)

  function find(name: ModelName): StoredModel | undefined {
    const path = manifestPath(name)
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return undefined
    const text = readFileSync(path)
    const manifest = JSON.parse(text.toString('utf8')) as Manifest
    return {
      name,
      manifest,
      digest: createHash('sha256').update(text).digest('hex'),
      size: allLayers(manifest).reduce((sum, { size }) => sum + size, 0),
      modifiedAt: statSync(path).mtime.toISOString(),
    }
  }

  function list(): StoredModel[] {
    return readdirSync(manifests, { recursive: true, encoding: 'utf8' })
      .map((path) => path.split('/'))
      .filter((parts) => parts.length === 4)
      .map((parts) => parseModelName(`${parts.slice(0, 3).join('/')}:${parts[3]}`))
      .flatMap((name) => (name ? (find(name) ?? []) : []))
      .sort((a, b) => b.modifiedAt.localeCompare(a.modifiedAt))
  }

  const inUse = () => new Set(list().flatMap(({ manifest }) => allLayers(manifest).map(({ digest }) => digest)))

  return {
    directory,
    blobPath,
    hasBlob: (digest) => existsSync(blobPath(digest)),
    async verify(digest) {
      const hash = createHash('sha256')
      for await (const chunk of createReadStream(blobPath(digest))) hash.update(chunk as Buffer)
      return `sha256:${hash.digest('hex')}` === digest
    },
    write(name, manifest) {
      mkdirSync(dirname(manifestPath(name)), { recursive: true })
      writeFileSync(manifestPath(name), JSON.stringify(manifest))
    },
    find,
    list,
    remove(name) {
      const model = find(name)
      if (!model) return
      rmSync(manifestPath(name))
      removeEmptyParents(manifestPath(name), manifests)
      const kept = inUse()
      for (const { digest } of allLayers(model.manifest))
        if (!kept.has(digest)) rmSync(blobPath(digest), { force: true })
    },
    prune() {
      const kept = new Set([...inUse()].map((digest) => digest.replace(':', '-')))
      for (const name of readdirSync(blobs)) {
        const path = join(blobs, name)
        if (!kept.has(name) && Date.now() - statSync(path).mtimeMs > PRUNE_GRACE_MS) rmSync(path, { force: true })
      }
    },
  }
}

/** Layers and configuration. */
export const allLayers = (manifest: Manifest): readonly Layer[] => [...manifest.layers, manifest.config]

function removeEmptyParents(path: string, upTo: string): void {
  for (let parent = dirname(path); parent !== upTo; parent = dirname(parent)) {
    if (readdirSync(parent).length > 0) return
    rmdirSync(parent)
  }
}
