import { readFileSync } from 'node:fs'

/** Where the kernel counts them: cgroup v2, then v1. */
const FILES = ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control']

/** Kills by the kernel for want of memory in this container's cgroup; `null` where it does not tell. */
export function readOomKills(files: readonly string[] = FILES): number | null {
  for (const file of files) {
    try {
      const found = /^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8'))
      if (found !== null) return Number(found[1])
    } catch {
      // Not this kind of cgroup.
    }
  }
  return null
}

/** Tells whether the count has risen since it was last asked, or since it was made. */
export function watchOomKills(read: () => number | null = readOomKills, before = read()): () => boolean {
  let known = before
  return () => {
    const now = read()
    const hasRisen = now !== null && now > (known ?? 0)
    known = now
    return hasRisen
  }
}
