import { readTai64n } from '../tai64n.ts'

/** What s6-log puts before a line with `t`: `@`, 24 hexadecimal digits, a space. */
const TAI64N_PREFIX_LENGTH = 26
/** And with `T`: `2026-01-31 12:00:00.123456789` in local time, two spaces. */
const LOCAL_PREFIX_LENGTH = 31

const REFERENCE = '400000008000000000000000'
const REFERENCE_SECONDS = 0x80000000
const REFERENCE_MS = readTai64n(Buffer.from(REFERENCE, 'hex'), 0)

/** Milliseconds since 1970 of 24 hexadecimal digits of a TAI64N label, to the microsecond; `null` where it is none. */
export function timeOfLabel(digits: string): number | null {
  if (!/^4[0-9a-f]{23}$/.test(digits)) return null
  const high = Number.parseInt(digits.slice(0, 8), 16) - 0x40000000
  const seconds = high * 2 ** 32 + Number.parseInt(digits.slice(8, 16), 16)
  const nanoseconds = Number.parseInt(digits.slice(16), 16)
  return REFERENCE_MS + (seconds - REFERENCE_SECONDS) * 1000 + nanoseconds / 1e6
}

export interface Stamp {
  readonly timeMs: number
  /** Characters of the stamp. */
  readonly length: number
}

/** The stamp that s6-log put before a line; `null` where the line has none. */
export function readStamp(line: string): Stamp | null {
  const first = line.charCodeAt(0)
  if (first === AT) return readLabel(line)
  return first >= ZERO && first <= NINE ? readLocalTime(line) : null
}

const AT = 0x40
const ZERO = 0x30
const NINE = 0x39
const SPACE = 0x20

function readLabel(line: string): Stamp | null {
  if (line.charCodeAt(TAI64N_PREFIX_LENGTH - 1) !== SPACE) return null
  const timeMs = timeOfLabel(line.slice(1, TAI64N_PREFIX_LENGTH - 1))
  return timeMs === null ? null : { timeMs, length: TAI64N_PREFIX_LENGTH }
}

/** The last minute that was converted: a log has many lines of one minute, and the time zone takes long to find. */
let lastMinute = ''
let lastMinuteMs = 0

function readLocalTime(line: string): Stamp | null {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d):(\d\d)\.(\d{9}) {2}/.exec(line.slice(0, LOCAL_PREFIX_LENGTH))
  if (parts === null) return null
  const minute = `${parts[1]}T${parts[2]}`
  if (minute !== lastMinute) {
    lastMinuteMs = new Date(minute).getTime()
    lastMinute = minute
  }
  if (Number.isNaN(lastMinuteMs)) return null
  const timeMs = lastMinuteMs + Number(parts[3]) * 1000 + Number(parts[4]) / 1e6
  return { timeMs, length: LOCAL_PREFIX_LENGTH }
}
