import { closeSync, constants, openSync, writeSync } from 'node:fs'

/** Orders that s6-supervise takes on its control pipe, by their letter (s6-svc has the same). */
export const CONTROL = {
  up: 'u',
  /** The down signal, then SIGCONT, then SIGKILL after `timeout-kill`; stays down. */
  down: 'd',
  /** The down signal only: it is started again, but nothing follows up on a process that does not heed it. */
  restart: 'r',
  kill: 'k',
  hangup: 'h',
  user1: '1',
  /** SIGALRM: s6-log begins a new file. */
  alarm: 'a',
  /** The supervisor itself ends when the service is down. */
  exit: 'x',
} as const

/**
 * Writes orders to the supervisor of a service directory, without forking and without ever blocking. `not-supervised`: no
 * supervisor has the pipe open, or the directory does not exist. Other errors are thrown.
 */
export function sendControl(serviceDirectory: string, orders: string): 'sent' | 'not-supervised' {
  return writeToFifo(`${serviceDirectory}/supervise/control`, orders)
}

/** The same for s6-svscan: `t` ends it, its loggers last; `q` and others as s6-svscanctl has them. */
export function sendScannerControl(scanDirectory: string, orders: string): 'sent' | 'not-supervised' {
  return writeToFifo(`${scanDirectory}/.s6-svscan/control`, orders)
}

/** Whether a supervisor looks after the directory: it holds the reading end of the control pipe. */
export function isSupervised(serviceDirectory: string): boolean {
  return writeToFifo(`${serviceDirectory}/supervise/control`, '') === 'sent'
}

export function isScanned(scanDirectory: string): boolean {
  return writeToFifo(`${scanDirectory}/.s6-svscan/control`, '') === 'sent'
}

function writeToFifo(path: string, text: string): 'sent' | 'not-supervised' {
  let descriptor: number
  try {
    descriptor = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (NOBODY_LISTENS.has((error as NodeJS.ErrnoException).code ?? '')) return 'not-supervised'
    throw error
  }
  try {
    if (text !== '') writeSync(descriptor, text)
  } finally {
    closeSync(descriptor)
  }
  return 'sent'
}

const NOBODY_LISTENS = new Set(['ENXIO', 'ENOENT', 'ENOTDIR'])
