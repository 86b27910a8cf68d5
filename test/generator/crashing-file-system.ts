import { constants } from 'node:fs'
import type { FileSystem } from '../../generator/write/file-system.ts'
import { NODE_FILE_SYSTEM } from '../../generator/write/file-system.ts'

const CHANGING: ReadonlySet<string> = new Set([
  'chmodSync',
  'copyFileSync',
  'fchmodSync',
  'fchownSync',
  'mkdirSync',
  'openSync',
  'renameSync',
  'rmSync',
  'rmdirSync',
  'unlinkSync',
  'writeSync',
])

/** How this room opens a file to read it. */
const READING = constants.O_RDONLY | constants.O_NOFOLLOW

export interface Fault {
  /** Calls that may change the disk, so far. */
  calls: number
  readonly fileSystem: FileSystem
}

/**
 * A file system on which the process dies before its changing call number `at` (from 0): that call and every later one
 * of any kind fail, so that no clean-up can do anything either. Of a write, half gets through.
 */
export function crashingAt(at: number): Fault {
  return faulty((fault, _isChanging, name, call, args) => {
    if (fault.calls <= at) return call()
    if (fault.calls === at + 1) writeHalf(name, args)
    throw new Error(`dead since call ${at}`)
  })
}

/** A file system whose changing call number `at` fails with `code`, and only that one. Of a write, half gets through. */
export function failingAt(at: number, code: string, errno: number): Fault {
  return faulty((fault, isChanging, name, call, args) => {
    if (fault.calls !== at + 1 || !isChanging) return call()
    writeHalf(name, args)
    throw Object.assign(new Error(`${code}: injected`), { code, errno, syscall: name })
  })
}

function writeHalf(name: string, args: unknown[]): void {
  if (name === 'copyFileSync') {
    const [original, path] = args as [string, string]
    const content = NODE_FILE_SYSTEM.readFileSync(original)
    const half = NODE_FILE_SYSTEM.openSync(path, 'wx')
    NODE_FILE_SYSTEM.writeSync(half, content, 0, Math.floor(content.length / 2))
    NODE_FILE_SYSTEM.closeSync(half)
  }
  if (name !== 'writeSync') return
  const [descriptor, content, offset = 0, length] = args as [number, string | Uint8Array, number?, number?]
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  NODE_FILE_SYSTEM.writeSync(descriptor, bytes, offset, Math.floor((length ?? bytes.length) / 2))
}

type Interceptor = (fault: Fault, isChanging: boolean, name: string, call: () => unknown, args: unknown[]) => unknown

function faulty(intercept: Interceptor): Fault {
  const fault: Fault = {
    calls: 0,
    fileSystem: new Proxy(NODE_FILE_SYSTEM, {
      get(target, name: keyof FileSystem) {
        return (...args: unknown[]) => {
          const isChanging = CHANGING.has(name) && !(name === 'openSync' && args[1] === READING)
          if (isChanging) fault.calls++
          return intercept(
            fault,
            isChanging,
            name,
            () => (target[name] as (...all: unknown[]) => unknown)(...args),
            args,
          )
        }
      },
    }),
  }
  return fault
}
