import { followLogs, type TailedSource } from './follow-logs.ts'
import { closeFiles, type LogFile, openLogFiles } from './log-files.ts'
import type { LogFilter, LogLine, LogPage, LogStore } from './log-store.ts'
import { tailAfter } from './log-tail.ts'
import { type LogText, openLogText, usedBytes } from './log-text.ts'
import { type OpenSource, queryLogs } from './query-logs.ts'
import type { LogSource } from './recognise.ts'
import { createRedactor, type Redactor } from './redact.ts'

export interface LogStoreOptions {
  readonly sources: readonly LogSource[]
  /** Names that stand for several services. */
  readonly bundles: Readonly<Record<string, readonly string[]>>
  readonly redactor?: Redactor
  /** A search that takes longer ends with what it has found. @default 5000 */
  readonly timeLimitMs?: number
}

const TIME_LIMIT_MS = 5000
const LAST_LINES_LIMIT_MS = 1000
/** Searches at a time; further ones wait, so that they leave a core to the rest of the machine. */
const MAX_SEARCHES = 2

const NO_CONDITIONS: Omit<LogFilter, 'lines'> = {
  services: [],
  gpu: null,
  level: null,
  sinceMs: null,
  grep: null,
  correlationId: null,
}

/** Reads logs back from the directories of s6-log. Nothing stays open between questions. */
export function openLogStore(options: LogStoreOptions): LogStore {
  const { sources, timeLimitMs = TIME_LIMIT_MS, redactor = createRedactor() } = options
  const searches = createTurnstile(MAX_SEARCHES)
  const search = async (found: readonly LogSource[], filter: LogFilter, limitMs: number, signal?: AbortSignal) => {
    const opened = await openSources(found)
    try {
      return await queryLogs(opened, filter, { redactor, deadlineMs: performance.now() + limitMs, signal })
    } finally {
      for (const { files, log } of opened) closeSource(files, log)
    }
  }

  const openTails = async (filter: LogFilter, signal: AbortSignal) => {
    const opened = await openSources(selectSources(options, filter))
    const deadlineMs = performance.now() + timeLimitMs
    const tailed: TailedSource[] = []
    try {
      const page: LogPage = await queryLogs(opened, filter, { redactor, deadlineMs, signal })
      for (const { source, files, log } of opened) {
        tailed.push({ source, tail: await tailAfter(source.directory, files, usedBytes(log)) })
      }
      return { page, sources: tailed }
    } catch (error) {
      for (const { tail } of tailed) tail.close()
      for (const { files } of opened.slice(tailed.length)) closeFiles(files.slice(-1))
      throw error
    } finally {
      for (const { files, log } of opened) closeSource(files.slice(0, -1), log)
    }
  }

  return {
    query: (filter, signal) => searches(() => search(selectSources(options, filter), filter, timeLimitMs, signal)),
    lastLines: async (service, count): Promise<readonly LogLine[]> => {
      const own = sources.filter((source) => source.service === service && !source.isAccessLog)
      return (await search(own, { ...NO_CONDITIONS, lines: count }, LAST_LINES_LIMIT_MS)).lines
    },
    follow: (filter, signal) =>
      followLogs({ filter, redactor, signal, open: () => searches(() => openTails(filter, signal)) }),
  }
}

/** The directories that a filter can find lines in. */
function selectSources({ sources, bundles }: LogStoreOptions, { services, gpu }: LogFilter): LogSource[] {
  const names = new Set(services.flatMap((name) => (Object.hasOwn(bundles, name) ? bundles[name]! : [name])))
  return sources.filter(
    (source) => (names.size === 0 || names.has(source.service)) && (gpu === null || source.gpu === gpu),
  )
}

type OpenedSource = OpenSource & { readonly files: readonly LogFile[] }

async function openSources(sources: readonly LogSource[]): Promise<OpenedSource[]> {
  const opened: OpenedSource[] = []
  try {
    for (const source of sources) {
      const files = await openLogFiles(source.directory)
      opened.push({ source, files, log: await openLogText(files, Date.now()) })
    }
    return opened
  } catch (error) {
    for (const { files, log } of opened) closeSource(files, log)
    throw error
  }
}

function closeSource(files: readonly LogFile[], log: LogText): void {
  log.close()
  closeFiles(files)
}

/** Lets so many pass at a time, in the order in which they came. */
function createTurnstile(places: number) {
  let free = places
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}
