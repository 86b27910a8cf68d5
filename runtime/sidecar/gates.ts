import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'

export interface Gates {
  /** Makes the gate of a service open or closed. It costs nothing where it is so already. */
  readonly set: (service: string, open: boolean) => void
  /** Looks at the directory: gates that somebody else touched are set again, and those that failed are tried again. */
  readonly recheck: () => void
}

/**
 * The gates: a file per ready service, which the `run` of others waits for. The gates of tasks are theirs: the `finish` of
 * a task opens its gate, so they are never set here. What cannot be done goes to `onError`.
 */
export function createGates(directory: string, onError: (service: string, error: Error) => void): Gates {
  let present = readPresent(directory)
  const wanted = new Map<string, boolean>()

  const apply = (service: string, open: boolean) => {
    if (present.has(service) === open) return
    try {
      if (open) closeSync(openSync(`${directory}/${service}`, 'a', 0o644))
      else rmSync(`${directory}/${service}`, { force: true })
    } catch (error) {
      onError(service, error as Error)
      return
    }
    if (open) present.add(service)
    else present.delete(service)
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

/** Setup makes the directory; where the sidecar is quicker, it does. */
function readPresent(directory: string): Set<string> {
  try {
    mkdirSync(directory, { recursive: true })
    return new Set(readdirSync(directory))
  } catch {
    return new Set()
  }
}
