/**
 * A registry that exists only in here: every valid name is a model, except those that begin with `nosuch`. What a model
 * consists of follows from its name, so that an interrupted pull can be continued and its sha256 verified.
 */
import { createHash } from 'node:crypto'
import type { ModelName } from './model-name.ts'

export interface Layer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

export interface Manifest {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly config: Layer
  readonly layers: readonly Layer[]
}

export interface RegistryModel {
  readonly manifest: Manifest
  /** The bytes of a layer from an offset, at most `length` of them. */
  read(digest: string, offset: number, length: number): Buffer
}

interface Source {
  readonly layer: Layer
  readonly block: Buffer
}

const BLOCK_BYTES = 64 * 1024

/** The model of a name, its weights `modelBytes` large; nothing if the registry does not have it. */
export function findInRegistry(name: ModelName, modelBytes: number): RegistryModel | undefined {
  if (name.model.startsWith('nosuch')) return undefined
  const { shown } = name
  const source = (kind: string, size: number) =>
    makeSource(`application/vnd.ollama.image.${kind}`, `${kind} ${shown}`, size)
  const weights = source('model', Math.max(1, Math.round(modelBytes)))
  const others = [source('license', 11_338), source('template', 254), source('params', 110)]
  const config = makeSource('application/vnd.docker.container.image.v1+json', `config ${shown}`, 485)
  const sources = [weights, ...others, config]
  return {
    manifest: {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: config.layer,
      layers: [weights, ...others].map(({ layer }) => layer),
    },
    read(digest, offset, length) {
      const found = sources.find(({ layer }) => layer.digest === digest)
      if (!found) throw new Error(`cannot read layer "${digest}": "${shown}" has no such layer`)
      return repeat(found.block, offset, Math.min(length, found.layer.size - offset))
    },
  }
}

function makeSource(mediaType: string, seed: string, size: number): Source {
  const block = Buffer.alloc(BLOCK_BYTES, createHash('sha256').update(seed).digest())
  const hash = createHash('sha256')
  for (let offset = 0; offset < size; offset += BLOCK_BYTES)
    hash.update(block.subarray(0, Math.min(BLOCK_BYTES, size - offset)))
  return { layer: { mediaType, digest: `sha256:${hash.digest('hex')}`, size }, block }
}

/** Any stretch of the block repeated without end. */
function repeat(block: Buffer, offset: number, length: number): Buffer {
  const first = offset % block.length
  const copies = Math.ceil((first + length) / block.length)
  return Buffer.concat(Array.from({ length: copies }, () => block)).subarray(first, first + length)
}
