import type { Environment } from '../../schema/interpolation.ts'

export interface RecordedEnvironment {
  readonly environment: Environment
  /** The variables that were asked for so far, set or not, sorted. */
  readonly names: () => readonly string[]
}

/** An environment that notes what is read of it: the compiler is a pure function, so nothing else can matter. */
export function recordEnvironment(environment: Environment): RecordedEnvironment {
  const names = new Set<string>()
  const note = (key: string | symbol) => {
    if (typeof key === 'string') names.add(key)
  }
  const recorded = new Proxy(environment, {
    get: (target, key) => {
      note(key)
      return Reflect.get(target, key)
    },
    has: (target, key) => {
      note(key)
      return Reflect.has(target, key)
    },
    getOwnPropertyDescriptor: (target, key) => {
      note(key)
      return Reflect.getOwnPropertyDescriptor(target, key)
    },
    ownKeys: () => {
      throw new Error('cannot list the environment: only variables that are asked for by name can be tracked')
    },
  })
  return { environment: recorded, names: () => [...names].sort() }
}
