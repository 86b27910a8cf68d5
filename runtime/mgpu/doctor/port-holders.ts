import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A process that listens on a port. */
export interface PortHolder {
  /** `null`: it belongs to another container or user. */
  readonly pid: number | null
  /** The leader of its session: of a service, the process that its supervisor started. */
  readonly session: number | null
  readonly command: string
  /** The service of this machine that it belongs to. */
  readonly service: string | null
}

/** Who listens on these ports; ports that nobody listens on are not in it. `serviceOf` knows the sessions of services. */
export function findPortHolders(
  ports: ReadonlySet<number>,
  serviceOf: (session: number) => string | null,
): ReadonlyMap<number, PortHolder> {
  const inodes = new Map(['tcp', 'tcp6'].flatMap((table) => parseListeners(readText(`/proc/net/${table}`))))
  const wanted = new Map([...inodes].filter(([, port]) => ports.has(port)))
  const holders = new Map<number, PortHolder>()
  for (const port of wanted.values()) holders.set(port, { pid: null, session: null, command: '', service: null })
  if (wanted.size === 0) return holders
  for (const pid of listNames('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    for (const inode of socketsOf(pid)) {
      const port = wanted.get(inode)
      // The one that was started first: others have the socket from it.
      if (port === undefined || (holders.get(port)?.pid ?? null) !== null) continue
      const session = sessionOf(pid)
      const service = session === null ? null : serviceOf(session)
      holders.set(port, { pid, session, command: commandOf(pid), service })
    }
  }
  return holders
}

/** `/proc/net/tcp`: the inodes of listening sockets with their ports. */
export function parseListeners(text: string): [inode: string, port: number][] {
  return text.split('\n').flatMap((line): [string, number][] => {
    const fields = line.trim().split(/\s+/)
    const [local, state, inode] = [fields[1], fields[3], fields[9]]
    const port = /:([0-9A-F]{4})$/.exec(local ?? '')?.[1]
    return port === undefined || state !== LISTEN || inode === undefined ? [] : [[inode, Number.parseInt(port, 16)]]
  })
}

const LISTEN = '0A'

function socketsOf(pid: number): string[] {
  return listNames(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1]
      return inode === undefined ? [] : [inode]
    } catch {
      return []
    }
  })
}

function sessionOf(pid: number): number | null {
  const stat = readText(`/proc/${pid}/stat`)
  // The name in parentheses may hold anything; behind it come state, parent, group and session.
  const session = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3])
  return Number.isInteger(session) && session > 0 ? session : null
}

const MAX_COMMAND = 80

function commandOf(pid: number): string {
  const words = readText(`/proc/${pid}/cmdline`)
    .split('\0')
    .filter((word) => word !== '')
  return words.join(' ').slice(0, MAX_COMMAND) || readText(`/proc/${pid}/comm`).trim()
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
