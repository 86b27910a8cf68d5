import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryDirectory } from '../temporary-directory.ts'
import { freePorts } from './local-tree.ts'

export interface RedisServer {
  readonly port: number
  readonly url: string
  readonly directory: string
  /** Starts it, again after a `kill`; resolves when it accepts connections. */
  readonly start: () => Promise<void>
  readonly kill: (signal?: NodeJS.Signals) => Promise<void>
  /** Leaves its port open and answers nothing, or goes on. */
  readonly pause: () => void
  readonly resume: () => void
}

/** What a test that failed has left open. */
const leftovers = new Set<() => void>()

/** Remembers what must be ended for the process to end; gives the function that ends it. */
export function endAtLast(end: () => void): () => void {
  const once = () => {
    if (leftovers.delete(once)) end()
  }
  leftovers.add(once)
  return once
}

/** For `test.after`: a test that failed must not keep its file from ending. */
export function endLeftovers(): void {
  for (const end of [...leftovers]) end()
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  }
})

/** A real redis-server on a free port of loopback; `words` are further options. Ends with the test process. */
export async function redisServer(words: readonly string[] = ['--save', ''], plainPort = true): Promise<RedisServer> {
  const [port] = await freePorts(1)
  const directory = temporaryDirectory()
  let child: ChildProcess | null = null
  const start = async () => {
    const where = ['--bind', '127.0.0.1', '--dir', directory, plainPort ? '--port' : '--tls-port', String(port)]
    // It dies with the test, also with one that was killed and could clean up nothing.
    const bound = ['--pdeathsig', 'KILL', 'redis-server', ...where, ...(plainPort ? [] : ['--port', '0']), ...words]
    const started = spawn('setpriv', bound, { stdio: 'ignore' })
    child = started
    started.unref()
    running.add(started)
    started.once('exit', () => running.delete(started))
    for (let attempt = 0; attempt < 200; attempt++) {
      if (await accepts(port!)) return
      await sleep(25)
    }
    throw new Error('redis-server does not accept connections')
  }
  await start()
  return {
    port: port!,
    url: `redis://127.0.0.1:${port}`,
    directory,
    start,
    kill: async (signal = 'SIGKILL') => {
      const victim = child
      if (victim === null) return
      const ended = new Promise((resolve) => victim.once('exit', resolve))
      victim.ref()
      victim.kill(signal)
      await ended
      child = null
    },
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

/** An authority, and a certificate of it for loopback: `ca.pem`, `server.pem`, `server.key` in a new directory. */
export function certificates(): string {
  const directory = temporaryDirectory()
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: directory, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl('req', '-x509', ...key, '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  openssl('req', ...key.slice(0, 5), '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr')
  execFileSync('sh', ['-c', 'printf "subjectAltName=DNS:localhost,IP:127.0.0.1" >names'], { cwd: directory })
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem')
  return directory
}
