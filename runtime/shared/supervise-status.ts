import type { ProcessExit } from './process-exit.ts'
import { readTai64n } from './tai64n.ts'

/** What s6-supervise says of its service in `supervise/status`. */
export interface ServiceStatus {
  /** The last time that it came up or went down, in ms since 1970. */
  readonly changedAtMs: number
  /** When it announced readiness, or when it could be started again. */
  readonly readyAtMs: number
  /** Of the service, or of its `finish` while that runs; 0 for none. */
  readonly pid: number
  /** The process group, where this version of s6 notes it; a service is always the leader of its own. */
  readonly pgid: number | null
  readonly up: boolean
  /** It announced readiness on its notification descriptor. */
  readonly announcedReady: boolean
  readonly paused: boolean
  /** `finish` runs. */
  readonly finishing: boolean
  /** It is started again when it dies. False after `s6-svc -d`, and after a `finish` that gave it up. */
  readonly wantUp: boolean
  /** Of the run before; exit 0 also where there was none. */
  readonly lastExit: ProcessExit
}

const FLAG_PAUSED = 1
const FLAG_FINISHING = 2
const FLAG_WANT_UP = 4
const FLAG_READY = 8

/** Offset of the wait status by file length: s6 2.13 has the process group in between, versions before and after not. */
const WAIT_STATUS_OFFSETS: Readonly<Record<number, number>> = { 35: 32, 43: 40 }

/**
 * Reads the bytes of `supervise/status`: 35 of them, 43 from s6 2.13. Anything else, an empty file at the very start of
 * a supervisor for instance, gives `null`.
 */
export function decodeStatus(bytes: Uint8Array): ServiceStatus | null {
  const waitStatusAt = WAIT_STATUS_OFFSETS[bytes.length]
  if (waitStatusAt === undefined) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = view.getUint8(waitStatusAt + 2)
  const pid = Number(view.getBigUint64(24))
  const finishing = (flags & FLAG_FINISHING) !== 0
  const up = pid !== 0 && !finishing
  return {
    changedAtMs: readTai64n(bytes, 0),
    readyAtMs: readTai64n(bytes, 12),
    pid,
    pgid: waitStatusAt === 40 ? Number(view.getBigUint64(32)) : null,
    up,
    announcedReady: up && (flags & FLAG_READY) !== 0,
    paused: (flags & FLAG_PAUSED) !== 0,
    finishing,
    wantUp: (flags & FLAG_WANT_UP) !== 0,
    lastExit: decodeWaitStatus(view.getUint16(waitStatusAt)),
  }
}

/** The wait status of wait(2) as Linux lays it out. */
function decodeWaitStatus(waitStatus: number): ProcessExit {
  const signal = waitStatus & 0x7f
  return signal === 0 ? { kind: 'exit', code: waitStatus >> 8 } : { kind: 'signal', signal }
}
