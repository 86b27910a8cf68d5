import { isWriteError, systemCode } from '../write/write-error.ts'
import type { Host } from './host.ts'

/** Exit codes of every command. */
export const EXIT = { done: 0, findings: 1, usage: 2, system: 3 } as const

/** An end that the user can do something about; the message is a `cannot ...`. */
export interface Failure extends Error {
  readonly exitCode: number
  readonly hint?: string
}

export function failure(exitCode: number, message: string, hint?: string): Failure {
  return Object.assign(new Error(message), { exitCode }, hint === undefined ? {} : { hint })
}

function isFailure(error: unknown): error is Failure {
  return error instanceof Error && 'exitCode' in error
}

/** Says why a command could not be carried out, never with a stack trace unless asked. Gives the exit code. */
export function reportFailure(host: Host, verb: string, error: unknown): number {
  if (isFailure(error)) {
    host.say(complaint(error.message, error.hint))
    return error.exitCode
  }
  if (isWriteError(error) && error.code !== 'BAD_ARTIFACT') {
    host.say(complaint(error.message, error.code === 'LOCKED' ? 'wait for it to end' : undefined))
    return EXIT.system
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  const isSystem = systemCode(error) !== undefined
  const isDebugged = host.environment.MACHINEGEN_DEBUG === '1'
  const hint = isSystem || isDebugged ? undefined : 'this is a bug of machinegen; MACHINEGEN_DEBUG=1 shows where'
  host.say(complaint(`cannot ${verb}: ${isSystem ? '' : 'internal error: '}${message}`, hint))
  if (isDebugged) host.say(`${stack ?? ''}\n`)
  return EXIT.system
}

export function complaint(message: string, hint?: string): string {
  return `machinegen: ${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`
}
