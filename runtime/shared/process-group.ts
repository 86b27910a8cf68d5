import { readFileSync } from 'node:fs'

/**
 * Kills all processes of a group at once, the whole of a service where its supervisor made it the leader of a session.
 * False where that process leads no group (any more): then nothing is touched.
 */
export function killProcessGroup(leader: number): boolean {
  if (leader <= 1 || readProcessGroup(leader) !== leader) return false
  try {
    process.kill(-leader, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

function readProcessGroup(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])
  } catch {
    return null
  }
}
