import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'

export interface Gates {
  /** Makes the gate of a service open or closed. It costs nothing where it is so already. */
  readonly set: (service: string, open: boolean) => void
  /** Looks at the directory: gates that somebody else removed are set again. */
  readonly recheck: () => void
}

/**
 * The gates: a file per ready service, which the `run` of others waits for. The gates of tasks are theirs: the `finish` of
 * a task opens its gate, so they are never set here.
 */
export function createGates(directory: string): Gates {
  mkdirSync(directory, { recursive: true })
  let present = readPresent(directory)
  const wanted = new Map<string, boolean>()

  const apply = (service: string, open: boolean) => {
    if (present.has(service) === open) return
    if (open) {
      closeSync(openSync(`${directory}/${service}`, 'a', 0o644))
      present.add(service)
    } else {
      rmSync(`${directory}/${service}`, { force: true })
      present.delete(service)
    }
  }

  return {
    set: (service, open) => {
      wanted.set(service, open)
      apply(service, open)
    },
    recheck: () => {
      present = readPresent(directory)
      for (const [service, open] of wanted) apply(service, open)
    },
  }
}

function readPresent(directory: string): Set<string> {
  try {
    return new Set(readdirSync(directory))
  } catch {
    mkdirSync(directory, { recursive: true })
    return new Set()
  }
}
