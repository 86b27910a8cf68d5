import { readdirSync, readFileSync } from 'node:fs'

/** In the environment of everything that a machine starts; how its processes are told from those of others. */
export const TREE_VARIABLE = 'MACHINEGEN_STATE_DIRECTORY'

export interface TreeProcess {
  readonly pid: number
  readonly name: string
}

/**
 * The processes of the machine in a state directory: those that inherited its mark, and those in a session of one of its
 * services (nginx writes over its own environment). Dead ones that nobody has reaped do not count.
 */
export function findTreeProcesses(stateDirectory: string, sessions: ReadonlySet<number> = new Set()): TreeProcess[] {
  const mark = `${TREE_VARIABLE}=${stateDirectory}`
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((entry) => {
      const stat = readProc(`${entry}/stat`)
      const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (stat === '' || state === 'Z' || state === 'X') return []
      const isMarked = sessions.has(Number(session)) || readProc(`${entry}/environ`).split('\0').includes(mark)
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      return isMarked ? [{ pid: Number(entry), name }] : []
    })
}

/** Processes come and go while they are listed, and those of other users are not ours to read. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return ''
  }
}
