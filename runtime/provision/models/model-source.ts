import type { ModelSource, PlannedModel, PlannedProvisioning } from '../../../schema/plan.ts'
import { bucketSource } from '../download/bucket-source.ts'
import type { BufferPool } from '../download/buffer-pool.ts'
import type { Environment } from '../download/connection.ts'
import { httpSource } from '../download/http-source.ts'
import type { RangeSource } from '../download/range-source.ts'
import { createRclone, type Rclone } from '../download/rclone.ts'
import { bucketRemote } from './bucket-remote.ts'
import { authorization, type Credential, credentialsOf } from './credentials.ts'

export interface OpenedSource {
  readonly source: RangeSource
  /** Where it begins; `null` for a bucket. */
  readonly url: URL | null
  readonly credentials: readonly Credential[]
}

export interface SourceOptions {
  readonly provisioning: Pick<PlannedProvisioning, 'credentials'>
  readonly secret: (name: string) => string | null
  readonly environment: Environment
  readonly buffers: BufferPool
  readonly rclone: Rclone
}

const HUGGING_FACE = 'https://huggingface.co'
const CIVITAI = 'https://civitai.com'

/** What fetches a model. */
export function openSource(model: PlannedModel, options: SourceOptions): OpenedSource {
  const { provisioning, secret, environment, buffers, rclone } = options
  if (model.source.kind === 'bucket') {
    const { provider, bucket, path } = model.source
    const source = bucketSource({
      rclone,
      remote: remoteName(provider),
      path: `${bucket}/${path}`,
      buffers,
      environment,
    })
    return { source, url: null, credentials: [] }
  }
  const url = sourceUrl(model.source, environment)
  const credentials = credentialsOf(model, url, provisioning, secret)
  const headersFor = authorization(credentials)
  return { source: httpSource({ url, headersFor, buffers, environment }), url, credentials }
}

type Provider = Extract<ModelSource, { kind: 'bucket' }>['provider']

const PROVIDERS: readonly Provider[] = ['s3', 'gs', 'az']

const remoteName = (provider: Provider): string => `machine_${provider}`

/** rclone with a remote for each kind of bucket. */
export function openRclone({ provisioning, secret, environment }: Omit<SourceOptions, 'buffers' | 'rclone'>): Rclone {
  const credential = (variable: string): string | null => {
    const name = provisioning.credentials[variable]
    return name === undefined ? null : secret(name)
  }
  const remotes = PROVIDERS.map((provider) => [remoteName(provider), bucketRemote(provider, credential, environment)])
  return createRclone(Object.fromEntries(remotes), environment)
}

/** The URL that a source is fetched from; `HF_ENDPOINT` names a mirror, as it does for Hugging Face's own programs. */
export function sourceUrl(source: Exclude<ModelSource, { kind: 'bucket' }>, environment: Environment): URL {
  if (source.kind === 'http') return new URL(source.url)
  if (source.kind === 'civitai') {
    return new URL(`${civitaiEndpoint(environment)}/api/download/models/${source.versionId}`)
  }
  const { repository, revision, path } = source
  const endpoint = withoutSlash(environment.HF_ENDPOINT || HUGGING_FACE)
  const encodedPath = path.split('/').map(encodeURIComponent).join('/')
  return new URL(`${endpoint}/${repository}/resolve/${encodeURIComponent(revision)}/${encodedPath}`)
}

export function civitaiEndpoint(environment: Environment): string {
  return withoutSlash(environment.CIVITAI_ENDPOINT || CIVITAI)
}

const withoutSlash = (text: string): string => text.replace(/\/+$/, '')
