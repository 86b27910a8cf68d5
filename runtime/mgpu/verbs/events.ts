import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseLogFilter } from '../../shared/logs/log-filter.ts'
import type { MachineEvent } from '../../shared/machine-event.ts'
import { type ReadableSegment, type ReadingPlaces, readAfter } from '../../sidecar/events/read-segments.ts'
import type { Command, Context } from '../context.ts'
import { formatEvent } from '../event-lines.ts'
import { EXIT, UsageError } from '../failure.ts'

const DEFAULT_EVENTS = 20
const POLL_MS = 250
const PAGE = 1000
const SEGMENT = /^(\d{16})\.ndjson$/

/** `events`: the last of the journal's events, with --follow each new one. The journal is read from its files. */
export const run: Command = async ({ plan, request, console }) => {
  const { lines, follow, json } = request.options
  const directory = `${plan.paths.state}/events`
  const sinceMs = readSince(request)
  const print = (event: MachineEvent) => {
    const line = json ? JSON.stringify(event) : formatEvent(event, console.isColored)
    console.out(`${line}\n`)
  }
  const places: ReadingPlaces = new Map()
  const newest = readNewest(directory, lines ?? (sinceMs === null ? DEFAULT_EVENTS : Number.POSITIVE_INFINITY), sinceMs)
  for (const event of newest.events) print(event)
  if (newest.events.length === 0 && !follow) console.say(`mgpu: there are no such events in "${directory}"`)
  let seq = newest.lastSeq
  while (follow && !console.signal.aborted) {
    const events = readAfter(listSegments(directory), places, seq, PAGE)
    for (const event of events) print(event)
    seq = events.at(-1)?.seq ?? seq
    await sleep(POLL_MS, undefined, { signal: console.signal }).catch(() => {})
  }
  return EXIT.done
}

function readSince({ options: { since } }: Context['request']): number | null {
  const parsed = parseLogFilter({ since }, Date.now())
  if ('problem' in parsed) throw new UsageError(parsed.problem)
  return parsed.filter.sinceMs
}

/** The last `count` events from a time on: newer files first, as many as it takes. */
function readNewest(directory: string, count: number, sinceMs: number | null) {
  const segments = listSegments(directory)
  let events: MachineEvent[] = []
  let lastSeq = 0
  for (const segment of segments.toReversed()) {
    const own = readSegment(segment)
    lastSeq = Math.max(lastSeq, own.at(-1)?.seq ?? segment.firstSeq - 1)
    events = [...own, ...events]
    const isOldEnough = sinceMs !== null && Date.parse(own[0]?.at ?? '') < sinceMs
    if (events.length >= count || isOldEnough) break
  }
  const fitting = events.filter(({ at }) => sinceMs === null || Date.parse(at) >= sinceMs)
  return { events: count === 0 ? [] : fitting.slice(-count), lastSeq }
}

function readSegment(segment: ReadableSegment): MachineEvent[] {
  return readAfter([segment], new Map(), segment.firstSeq - 1, Number.POSITIVE_INFINITY)
}

function listSegments(directory: string): readonly ReadableSegment[] {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  return names.sort().flatMap((name) => {
    const number = SEGMENT.exec(name)?.[1]
    return number === undefined ? [] : [{ path: `${directory}/${name}`, firstSeq: Number(number) }]
  })
}
