import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Bandwidth } from '../download/bandwidth.ts'
import type { BufferPool } from '../download/buffer-pool.ts'
import { findContentProblem } from '../download/check-content.ts'
import { DownloadError } from '../download/download-error.ts'
import { fetchFile } from '../download/fetch-file.ts'
import type { FollowedFile, Hasher } from '../download/hasher.ts'
import { discardPart, type PartFile, type PartIdentity, partPath } from '../download/part-file.ts'
import type { BegunTransfer, RangeSource } from '../download/range-source.ts'
import { hashMessage, type WantedModel } from './assess-model.ts'
import type { ModelRecord } from './model-record.ts'

export interface FetchModelOptions {
  readonly source: RangeSource
  readonly begun: BegunTransfer | null
  readonly hasher: Hasher
  readonly bandwidth: Bandwidth
  readonly staging: BufferPool
  readonly segments: number
  readonly retries: number
  readonly onProgress: (bytes: number) => void
  readonly onTrouble: (error: DownloadError, pauseMs: number) => void
}

/** A fetched file that is not what it should be; another attempt would bring the same. */
export class WrongContent extends DownloadError {
  constructor(message: string) {
    super('refused', message)
  }
}

/** Fetches a model, checks it, and only then gives it its name. Gives its record, and what was moved aside for it. */
export async function fetchModel(
  wanted: WantedModel,
  options: FetchModelOptions,
): Promise<{ readonly record: ModelRecord; readonly movedTo: string | null }> {
  const { target } = wanted
  mkdirSync(dirname(target), { recursive: true })
  const hash = wanted.sha256 === null ? null : options.hasher.follow(partPath(target))
  let part: PartFile | null = null
  try {
    part = await fetchPart(wanted, options, hash)
    await confirm(wanted, options.source)
    const sizeBytes = part.bytesDone()
    const sha256 = await check(wanted, sizeBytes, hash)
    const movedTo = wanted.inPlace === 'a user file' ? moveAside(target) : null
    await part.install(target)
    const { mtimeMs } = statSync(target)
    return { record: { target, sizeBytes, mtimeMs, sha256 }, movedTo }
  } catch (error) {
    part?.close()
    if (error instanceof WrongContent || (error as DownloadError).kind === 'changed') discardPart(target)
    throw error
  } finally {
    hash?.forget()
  }
}

/**
 * What makes a part one of this file. A file that its hub names by a hash is the same wherever the hub sends us for it,
 * whatever that place calls its version.
 */
export function partIdentityOf({ facts, model, sizeBytes }: WantedModel): PartIdentity {
  const isNamedByHash = facts.sha256 !== null
  return {
    source: isNamedByHash ? `${model.url} ${facts.sha256}` : model.url,
    sizeBytes: sizeBytes ?? 0,
    validator: isNamedByHash ? null : facts.validator,
  }
}

function fetchPart(wanted: WantedModel, options: FetchModelOptions, hash: FollowedFile | null): Promise<PartFile> {
  const { facts, target } = wanted
  const { source: identity, validator } = partIdentityOf(wanted)
  return fetchFile({
    target,
    source: options.source,
    begun: options.begun,
    facts: { ...facts, sizeBytes: wanted.sizeBytes, validator },
    identity,
    segments: options.segments,
    bandwidth: options.bandwidth,
    staging: options.staging,
    retries: options.retries,
    onFailure: options.onTrouble,
    onProgress: options.onProgress,
    onFrontier: hash === null ? null : hash.advance,
  })
}

/** Buckets cannot be asked for a range of one version: theirs is looked at again at the end. */
async function confirm({ model, facts }: WantedModel, source: RangeSource): Promise<void> {
  if (model.source.kind !== 'bucket') return
  const now = await source.probe()
  if (now.validator !== facts.validator || now.sizeBytes !== facts.sizeBytes) {
    throw new DownloadError('changed', 'the bucket has another file now')
  }
}

/** Throws where the fetched file is not the wanted one; gives its hash, where one was asked for. */
async function check(
  { target, sizeBytes, sha256, model }: WantedModel,
  fetchedBytes: number,
  hash: FollowedFile | null,
): Promise<string | null> {
  if (sizeBytes !== null && fetchedBytes !== sizeBytes) {
    throw new WrongContent(`it has ${fetchedBytes} bytes, and should have ${sizeBytes}`)
  }
  // Before the hash: "it is a web page" says more than two hashes.
  const problem = findContentProblem(partPath(target), basename(target), fetchedBytes)
  if (problem !== null) throw new WrongContent(problem)
  if (hash === null || sha256 === null) return null
  const found = await hash.digest(fetchedBytes)
  if (found !== sha256) throw new WrongContent(hashMessage({ ...model, sha256 }, found))
  return found
}

/** A user's file is never overwritten: it stays beside the new one, under a name that no program takes for a model. */
function moveAside(target: string): string {
  let kept = `${target}.kept`
  for (let count = 2; existsSync(kept); count += 1) kept = `${target}.kept-${count}`
  renameSync(target, kept)
  return kept
}
