import { refuse, refuseInexpressible } from './refusal.ts'

/**
 * A path as an argument of sshd_config: in double quotes, in which older versions know no escapes, so that a path with a
 * quote or a backslash cannot stand there. `%` begins a token in some options, and `%%` is not one in the others.
 */
export function sshdPath(path: string): string {
  refuseInexpressible('a path of sshd_config', path)
  if (/["\\%\n\r]/.test(path))
    return refuse('a path of sshd_config', path, 'it has a quote, a backslash, a "%" or a newline')
  return `"${path}"`
}

/** An address as sshd takes it, with its port. */
export function sshdAddress(address: string, port: number): string {
  if (!/^[0-9a-zA-Z.:]+$/.test(address)) return refuse('an address of sshd_config', address, 'it is none')
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
