import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface FileServer {
  readonly url: (path: string) => string
  readonly close: () => void
}

/** nginx over a directory: a server that is not what limits a download. `namespace`: the network that it is in. */
export async function startNginx(
  root: string,
  files: string,
  address: string,
  namespace?: string,
): Promise<FileServer> {
  const port = 18_000 + (process.pid % 2000)
  mkdirSync(`${root}/nginx`, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${root}/nginx;`,
  )
  writeFileSync(
    `${root}/nginx.conf`,
    // The files are below a directory that only we may enter.
    `${process.getuid?.() === 0 ? 'user root; ' : ''}worker_processes 2; daemon off; pid ${root}/nginx/pid; error_log ${root}/nginx/error.log;
events {}
http { access_log off; sendfile on; ${temporary.join(' ')}
  server { listen ${address}:${port}; root ${files}; } }
`,
  )
  const inside = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]
  const [program = '', ...args] = [...inside, 'nginx', '-c', `${root}/nginx.conf`]
  const child = spawn(program, args, {
    stdio: 'ignore',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  await reachable(address, port, child)
  return { url: (path) => `http://${address}:${port}/${path}`, close: () => void child.kill() }
}

async function reachable(host: string, port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt += 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    await delay(25)
  }
  throw new Error(`cannot measure: nginx does not answer on ${host}:${port}`)
}

export interface SlowNetwork {
  readonly namespace: string
  /** Of the server, inside. */
  readonly address: string
  readonly close: () => void
}

/** A network namespace behind a line of so much delay, either way, and so many bits a second; `null` without the right. */
export function createSlowNetwork(delayMs: number, rate: string): SlowNetwork | null {
  const namespace = `bench-${process.pid}`
  const [outside, inside] = [`vo${process.pid}`, `vi${process.pid}`]
  const run = (...words: string[]) => spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' })
  const close = () => {
    run('ip', 'link', 'del', outside)
    run('ip', 'netns', 'del', namespace)
  }
  const steps = [
    ['ip', 'netns', 'add', namespace],
    ['ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', namespace],
    ['ip', 'addr', 'add', '10.213.77.1/30', 'dev', outside],
    ['ip', 'link', 'set', outside, 'up'],
    ['ip', '-n', namespace, 'addr', 'add', '10.213.77.2/30', 'dev', inside],
    ['ip', '-n', namespace, 'link', 'set', inside, 'up'],
    ['tc', 'qdisc', 'add', 'dev', outside, 'root', 'netem', 'delay', `${delayMs}ms`],
    [
      'tc',
      '-n',
      namespace,
      'qdisc',
      'add',
      'dev',
      inside,
      'root',
      'netem',
      'delay',
      `${delayMs}ms`,
      'rate',
      rate,
      'limit',
      '20000',
    ],
  ]
  for (const step of steps) {
    const { status, stderr, error } = run(...step)
    if (status === 0) continue
    console.log(`  (${step.join(' ')}: ${stderr?.trim() || error?.message})`)
    close()
    return null
  }
  return { namespace, address: '10.213.77.2', close }
}

/** The same server behind a line of so much delay either way, in a process of its own; see slow-relay.ts. */
export async function startRelay(
  server: FileServer,
  delayMs: number,
  lineRate: number,
  ownRate: number,
): Promise<FileServer> {
  const { port } = new URL(server.url(''))
  const words = ['--import', 'tsx', 'bench/slow-relay.ts', port, String(delayMs), String(lineRate), String(ownRate)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { url: (path) => `http://127.0.0.1:${Number(line)}/${path}`, close: () => void child.kill() }
}
