import { createHash } from 'node:crypto'
import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan, PlannedModel } from '../../../schema/plan.ts'
import { createBufferPool } from '../download/buffer-pool.ts'
import { DownloadError } from '../download/download-error.ts'
import type { RangeSource, SourceFacts } from '../download/range-source.ts'
import { request } from '../download/request.ts'
import { withRetries } from '../download/retry.ts'
import { secretReader } from '../framework/secret-value.ts'
import { authorization, type Credential } from './credentials.ts'
import { describeFailure } from './describe-failure.ts'
import { civitaiEndpoint, type OpenedSource, openRclone, openSource } from './model-source.ts'

/** A version of a model, pinned by its content. */
export interface Pinned {
  readonly url: string
  readonly file: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly revision?: string
  readonly validator?: string
}

export interface LockOptions {
  readonly plan: Plan
  readonly environment: Environment
}

const RETRIES = { retries: 3 }

/**
 * Finds out what the source of a model has: from what a hub says of it where it does, else by reading all of it. What
 * was known before holds as long as the source calls its version the same.
 */
export async function lockModel(
  model: PlannedModel,
  known: Pinned | null,
  { plan, environment }: LockOptions,
): Promise<Pinned | { readonly problem: string }> {
  const shared = { provisioning: plan.provisioning, secret: secretReader(plan, environment), environment }
  const rclone = openRclone(shared)
  const buffers = createBufferPool(1024 * 1024)
  let opened: OpenedSource | null = null
  try {
    opened = openSource(model, { ...shared, buffers, rclone })
    const { source, credentials } = opened
    const facts = await withRetries(() => source.probe(), RETRIES)
    const file = model.file ?? facts.fileName
    if (file === null)
      throw new DownloadError('refused', 'its source does not say what it is called: give the entry a file')
    const isKnown = known !== null && facts.validator !== null && known.validator === facts.validator
    const sha256 =
      facts.sha256 ??
      (isKnown ? known.sha256 : null) ??
      (await civitaiHash(model, credentials, environment)) ??
      (await hashOf(source, facts))
    if (model.sha256 !== null && model.sha256 !== sha256) {
      throw new DownloadError('refused', `its SHA-256 is ${sha256}, and the entry says ${model.sha256}`)
    }
    return pinned(model, facts, file, sha256)
  } catch (error) {
    return { problem: describeFailure(model, opened, error) }
  } finally {
    rclone.close()
  }
}

function pinned(model: PlannedModel, facts: SourceFacts, file: string, sha256: string): Pinned {
  const { url } = model
  const sizeBytes = facts.sizeBytes ?? model.sizeBytes
  if (sizeBytes === null)
    throw new DownloadError('refused', 'its source does not say how large it is: give the entry sizeBytes')
  const { revision, validator } = facts
  return {
    url,
    file,
    sizeBytes,
    sha256,
    ...(revision === null ? {} : { revision }),
    ...(validator === null ? {} : { validator }),
  }
}

/** Civitai knows the hashes of what it has (GET /api/v1/model-versions/ID); `null` where it does not say. */
async function civitaiHash(
  { source }: PlannedModel,
  credentials: readonly Credential[],
  environment: Environment,
): Promise<string | null> {
  if (source.kind !== 'civitai') return null
  const url = new URL(`${civitaiEndpoint(environment)}/api/v1/model-versions/${source.versionId}`)
  const buffers = createBufferPool(65_536)
  const answer = await request(url, { headersFor: authorization(credentials), buffers, environment })
  const pieces: Buffer[] = []
  await answer.body((bytes) => {
    pieces.push(Buffer.from(bytes))
    return 'more'
  })
  try {
    const { files } = JSON.parse(Buffer.concat(pieces).toString('utf8')) as CivitaiVersion
    const hash = files?.find(({ primary }) => primary === true)?.hashes?.SHA256
    return hash !== undefined && /^[0-9a-f]{64}$/i.test(hash) ? hash.toLowerCase() : null
  } catch {
    return null
  }
}

interface CivitaiVersion {
  readonly files?: readonly { readonly primary?: boolean; readonly hashes?: { readonly SHA256?: string } }[]
}

/** Reads all of it and keeps nothing. A cut connection goes on where it was. */
async function hashOf(source: RangeSource, facts: SourceFacts): Promise<string> {
  let hash = createHash('sha256')
  let done = 0
  const read = async () => {
    if (!facts.ranges) {
      hash = createHash('sha256')
      done = 0
    }
    const { signal } = new AbortController()
    const { sizeBytes, validator } = facts
    const end = facts.ranges ? sizeBytes : null
    await source.read({ start: done, end, validator, sizeBytes, signal }, (bytes) => {
      hash.update(bytes)
      done += bytes.length
      return 'more'
    })
    if (sizeBytes !== null && done !== sizeBytes) throw new DownloadError('transient', 'the connection was cut')
  }
  await withRetries(read, { ...RETRIES, progress: () => done })
  return hash.digest('hex')
}
