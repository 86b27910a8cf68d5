/** One boot of the machine. Times are ms since 1970. */
export interface BootRecord {
  readonly id: string
  readonly startedAtMs: number
  /** When all of it worked for the first time. */
  readonly readyAtMs: number | null
  readonly readyAfterMs: number | null
  readonly endedAtMs: number | null
  /** `graceful`: it was told to stop. `crash`: the next boot found that it had ended without a word. */
  readonly ended: 'graceful' | 'crash' | null
}

const KEPT_BOOTS = 50

/** The boots with this one as the last: itself, where it is known already, else a new one behind those that have ended. */
export function enterBoot(
  boots: readonly BootRecord[],
  id: string,
  startedAtMs: number,
  lastSeenAtMs: number | null,
): readonly BootRecord[] {
  const last = boots.at(-1)
  if (last?.id === id) return boots
  const begun = { id, startedAtMs, readyAtMs: null, readyAfterMs: null, endedAtMs: null, ended: null }
  if (last === undefined) return [begun]
  const ended: BootRecord = last.ended === null ? { ...last, ended: 'crash', endedAtMs: lastSeenAtMs } : last
  return [...boots.slice(0, -1), ended, begun].slice(-KEPT_BOOTS)
}

/** This boot is ready, for the first time. */
export function bootReady(boots: readonly BootRecord[], nowMs: number): readonly BootRecord[] {
  return amendLast(boots, (boot) =>
    boot.readyAtMs === null
      ? { ...boot, readyAtMs: nowMs, readyAfterMs: Math.max(0, Math.round(nowMs - boot.startedAtMs)) }
      : boot,
  )
}

/** This boot was told to stop. */
export function bootEnds(boots: readonly BootRecord[], nowMs: number): readonly BootRecord[] {
  return amendLast(boots, (boot) => ({ ...boot, ended: 'graceful', endedAtMs: nowMs }))
}

function amendLast(boots: readonly BootRecord[], amend: (boot: BootRecord) => BootRecord): readonly BootRecord[] {
  const last = boots.at(-1)
  if (last === undefined) return boots
  const amended = amend(last)
  return amended === last ? boots : [...boots.slice(0, -1), amended]
}
