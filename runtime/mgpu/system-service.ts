import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'

const SYSTEM_PROGRAM = '/usr/sbin/service'

/** Calls the distribution's `service`; gives its exit code, `null` where there is none. */
export function passToSystem(words: readonly string[]): number | null {
  if (words.length === 0 || !existsSync(SYSTEM_PROGRAM)) return null
  const { status, signal } = spawnSync(SYSTEM_PROGRAM, words, { stdio: 'inherit' })
  return status ?? (signal === null ? 1 : 128 + constants.signals[signal])
}
