import { mkdirSync, rmSync, statSync } from 'node:fs'
import type { PlannedWorkerPackage } from '../../../schema/plan.ts'
import { createBandwidth, readBytes } from '../download/bandwidth.ts'
import { type BufferPool, createBufferPool } from '../download/buffer-pool.ts'
import { findSpaceShortages } from '../download/disk-space.ts'
import { DownloadError } from '../download/download-error.ts'
import { fetchFile } from '../download/fetch-file.ts'
import { createHasher } from '../download/hasher.ts'
import { httpSource } from '../download/http-source.ts'
import { discardPart } from '../download/part-file.ts'
import type { RangeSource, SourceFacts } from '../download/range-source.ts'
import { withRetries } from '../download/retry.ts'
import { formatBytes, formatSeconds } from '../framework/format-progress.ts'
import type { TaskContext } from '../framework/task.ts'

/** The archive of the package on the disk, and what it is. */
export interface FetchedPackage {
  readonly archive: string
  readonly sha256: string
  /** The source's word for this version; `null` where it has none. */
  readonly validator: string | null
}

/** How often an archive that is replaced while it is fetched is begun anew. */
const MOST_CHANGES = 3

/** Packed and unpacked side by side, the latter some times as large. */
const ROOM_FACTOR = 5

/**
 * Downloads the package, once for all GPUs, and continues a download that was interrupted. `'unchanged'`: the source still
 * has the version of `known`. Throws `DownloadError`s, and refuses what has another hash than it should have.
 */
export async function fetchPackage(
  context: TaskContext,
  wanted: PlannedWorkerPackage,
  known: string | null,
): Promise<FetchedPackage | 'unchanged'> {
  const { plan, environment, report } = context
  const { segments, bandwidthBytesPerSecond } = plan.provisioning.downloads
  const url = new URL(wanted.url)
  const atATime = Math.floor(readBytes(bandwidthBytesPerSecond, segments))
  const buffers = createBufferPool(atATime)
  const staging = createBufferPool(2 * atATime)
  const source = httpSource({ url, headersFor: refuseDowngrade(url), buffers, environment })
  mkdirSync(wanted.directory, { recursive: true })
  const ask = () => withRetries(() => source.probe(), retryOptions(context))
  for (let changes = 0; ; changes += 1) {
    const facts = await ask()
    if (known !== null && facts.validator === known) return 'unchanged'
    checkRoom(wanted, facts)
    report.expect({ bytes: facts.sizeBytes })
    report.phase('downloading')
    try {
      return await download(context, wanted, { source, facts, staging })
    } catch (error) {
      if ((error as DownloadError).kind !== 'changed' || changes === MOST_CHANGES) throw error
      discardPart(archivePath(wanted))
      report.note(`${(error as Error).message}: it is fetched from its beginning`)
    }
  }
}

export const archivePath = ({ directory }: Pick<PlannedWorkerPackage, 'directory'>): string =>
  `${directory}/package.tar.gz`

export function discardArchive(wanted: Pick<PlannedWorkerPackage, 'directory'>): void {
  discardPart(archivePath(wanted))
  rmSync(archivePath(wanted), { force: true })
}

/** What runs on the machine comes over TLS to its last hop, where it is asked for over TLS. */
function refuseDowngrade(start: URL): (hop: URL) => Record<string, string> {
  return (hop) => {
    if (start.protocol === 'https:' && hop.protocol !== 'https:') {
      throw new DownloadError(
        'refused',
        'a redirect leads from https to http: nobody vouches for what comes from there',
      )
    }
    return {}
  }
}

function checkRoom(wanted: PlannedWorkerPackage, { sizeBytes }: SourceFacts): void {
  const [shortage] = findSpaceShortages([{ path: archivePath(wanted), bytes: (sizeBytes ?? 0) * ROOM_FACTOR }])
  if (shortage === undefined) return
  const { neededBytes, freeBytes, path } = shortage
  throw new DownloadError(
    'refused',
    `it may take ${formatBytes(neededBytes)}, and the volume of "${path}" has ${formatBytes(freeBytes)} free`,
  )
}

interface Found {
  readonly source: RangeSource
  readonly facts: SourceFacts
  readonly staging: BufferPool
}

async function download(
  context: TaskContext,
  wanted: PlannedWorkerPackage,
  { source, facts, staging }: Found,
): Promise<FetchedPackage> {
  const { report, plan } = context
  const { segments, bandwidthBytesPerSecond, retries } = plan.provisioning.downloads
  const archive = archivePath(wanted)
  const part = await fetchFile({
    target: archive,
    source,
    facts,
    identity: wanted.url,
    segments,
    bandwidth: createBandwidth(bandwidthBytesPerSecond),
    retries,
    onFailure: retryOptions(context).onFailure,
    onProgress: (bytes) => {
      report.update(ITEM, bytes, facts.sizeBytes)
      report.problem(null)
    },
    onFrontier: null,
    staging,
  })
  try {
    await part.install(archive)
  } finally {
    part.close()
  }
  const sha256 = await hashFile(archive)
  if (wanted.sha256 !== null && sha256 !== wanted.sha256) {
    rmSync(archive, { force: true })
    throw new DownloadError('refused', hashMessage(wanted.sha256, sha256))
  }
  return { archive, sha256, validator: facts.validator }
}

export const ITEM = 'worker package'

/** The SHA-256 of a file, in lower case, taken in a thread of its own. */
export async function hashFile(path: string): Promise<string> {
  const hasher = createHasher()
  try {
    return await hasher.follow(path).digest(statSync(path).size)
  } finally {
    await hasher.close()
  }
}

export const hashMessage = (wanted: string, found: string): string =>
  `its SHA-256 is ${found}, and the machine file wants ${wanted}: it is another version, or was changed on the way`

function retryOptions({ plan, report }: TaskContext) {
  return {
    retries: plan.provisioning.downloads.retries,
    onFailure: (error: DownloadError, pauseMs: number) =>
      report.problem(`${error.message}; tries again in ${formatSeconds(Math.max(1, pauseMs / 1000))}`),
  }
}
