import type { ReadStream, WriteStream } from 'node:tty'
import type { MachineEvent } from '../shared/machine-event.ts'
import { connectRedis } from '../sidecar/events/redis-connection.ts'
import { describeProblem } from '../sidecar/events/redis-problem.ts'
import { parseRedisUrl, type RedisTarget } from '../sidecar/events/redis-target.ts'
import { eventStream, FLEET_STREAM } from '../sidecar/events/redis-voice.ts'
import { type FollowOptions, WatchError } from './follow-stream.ts'
import { openOutput } from './output.ts'
import { printEvents } from './print-events.ts'
import { showTable } from './show-table.ts'
import { parseSince, type Since } from './since.ts'

export interface WatchOptions {
  readonly url: string
  /** Where the URL stands, for messages: `--redis`, `HUB_REDIS_URL`. */
  readonly urlPlace: string
  /** File with the authority of a server that speaks TLS. */
  readonly certificateAuthority: string | null
  /** The only one to watch; `null`: all of them. */
  readonly machine: string | null
  /** Where events begin: a text of `parseSince`. */
  readonly since: string | null
  readonly isOnce: boolean
  /** Events also where there is a terminal. */
  readonly isJson: boolean
  /** Only events of these types and services; a `*` stands for anything. */
  readonly types: readonly string[]
  readonly services: readonly string[]
  readonly isColored: boolean
  readonly stdout: WriteStream
  readonly stdin: ReadStream
  readonly say: (line: string) => void
}

/** A stream of events, and the way to it. */
export interface Source extends Pick<FollowOptions, 'stream' | 'connect' | 'describe' | 'delayMs'> {
  /** Hosts and ports. */
  readonly name: string
}

const TIMEOUT_MS = 5000
const DEFAULT_SINCE = '10m'

/**
 * Watches the machines that announce themselves in a Redis: a table on a terminal, their events as NDJSON elsewhere. Ends
 * by Ctrl-C, SIGTERM or `q`, and when nobody reads on. @throws WatchError for what was asked for and cannot be
 */
export async function watch(options: WatchOptions): Promise<void> {
  const { machine, isOnce, isJson, isColored, stdout } = options
  const since = readSince(options)
  const source = findSource(options)
  const isTable = stdout.isTTY === true && !isJson
  const filter = options.since ?? options.types[0] ?? options.services[0]
  if (isTable && filter !== undefined) {
    throw new WatchError(2, 'cannot filter the table: --since, --type and --service choose events', 'add --json')
  }
  const output = openOutput(stdout, isTable && !isOnce ? options.stdin : null)
  const { signal, write } = output
  try {
    if (isTable) {
      const onResize = (changed: () => void) => {
        stdout.on('resize', changed)
        return () => stdout.off('resize', changed)
      }
      await showTable({ source, machine, isOnce, isColored, terminal: stdout, write, onResize, signal })
    } else {
      await printEvents({ source, since, isOnce, isWanted: createFilter(options), write, say: options.say, signal })
    }
  } finally {
    output.close()
  }
}

function readSince({ since, machine }: WatchOptions): Since {
  const read = parseSince(since ?? DEFAULT_SINCE)
  if (read === null) {
    throw new WatchError(2, `cannot begin at "${since}"`, 'it is like 10m, 2h, 2026-11-21T20:00:00Z or 0')
  }
  if (read.kind !== 'seq' || machine !== null) return read
  throw new WatchError(2, `cannot begin after event ${read.seq}: each machine has its own numbers`, 'add --machine ID')
}

export type SourceOptions = Pick<WatchOptions, 'url' | 'urlPlace' | 'certificateAuthority' | 'machine'>

/** The stream of the fleet, or of one machine. @throws WatchError for a URL that is none */
export function findSource({ url, urlPlace, certificateAuthority, machine }: SourceOptions): Source {
  const target = readTarget(url, urlPlace)
  const secrets = [url, target.password, target.sentinelPassword, target.username].flatMap((secret) => secret ?? [])
  const connectionName = 'machinegen-watch'
  return {
    name: target.name,
    stream: machine === null ? FLEET_STREAM : eventStream(machine),
    connect: (onClose) =>
      connectRedis({ target, certificateAuthority, connectionName, timeoutMs: TIMEOUT_MS, onClose }),
    describe: (error) => describeProblem(error, target.name, secrets, { deed: 'read events from', url: urlPlace }),
  }
}

function readTarget(url: string, urlPlace: string): RedisTarget {
  try {
    return parseRedisUrl(url)
  } catch (error) {
    throw new WatchError(2, `cannot use ${urlPlace}: ${(error as Error).message}`)
  }
}

/** Whether an event is one of those that were asked for. */
export function createFilter({
  types,
  services,
}: Pick<WatchOptions, 'types' | 'services'>): (event: MachineEvent) => boolean {
  const [isType, isService] = [createMatcher(types), createMatcher(services)]
  return ({ type, service }) => isType(type) && isService(service ?? '')
}

function createMatcher(patterns: readonly string[]): (text: string) => boolean {
  if (patterns.length === 0) return () => true
  const expressions = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${parts.join('.*')}$`, 's')
  })
  return (text) => expressions.some((expression) => expression.test(text))
}
