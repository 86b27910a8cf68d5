import type { StateName } from './service-state.ts'

/** The words of PM2, which the first machines ran their services with and their monitors still show. */
export type Pm2Status = 'online' | 'launching' | 'stopping' | 'stopped' | 'errored' | 'waiting restart'

/**
 * What PM2 would have said. Its `online` is a process that runs, ready or not; a task that is done has `stopped` there
 * too.
 */
export function pm2Status(state: StateName): Pm2Status {
  return STATUSES[state]
}

const STATUSES: Readonly<Record<StateName, Pm2Status>> = {
  down: 'stopped',
  waiting: 'waiting restart',
  starting: 'launching',
  ready: 'online',
  unready: 'online',
  stopping: 'stopping',
  failed: 'errored',
  done: 'stopped',
}
