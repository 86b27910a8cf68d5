/** A machine of a plan without its compiler: real nginx, and simulated ComfyUIs behind it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { emitNginx } from '../../generator/emit/nginx/emit-nginx.ts'
import type { Plan } from '../../schema/plan.ts'
import { type FixtureOptions, planFixture } from '../fixtures/plan-fixture.ts'
import { end, type Simulated, startSimulated } from '../runtime/start-simulated.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const START_TIMEOUT_MS = 20_000

export interface NginxMachine {
  readonly plan: Plan
  readonly directory: string
  /** Port of the proxy. */
  readonly port: number
  readonly process: ChildProcess
  /** What nginx wrote on stderr so far. */
  errors(): string
  /** Port of a service, or of the sidecar. */
  portOf(name: string): number
  /** What the access log says of a request; it is written just after the answer. */
  logged(requestId: unknown): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

const children = new Set<ChildProcess>()
process.on('exit', () => {
  // Not SIGKILL: that would leave the workers behind.
  for (const child of children) child.kill('SIGTERM')
})

/** Renders the plan, puts credentials in place as setup does at boot, and starts nginx. */
export async function startNginx(
  options: FixtureOptions = {},
  credentials: { readonly htpasswd?: string; readonly bearerMap?: string } = {},
): Promise<NginxMachine> {
  const directory = temporaryDirectory()
  const basePort = await freePortRange(40)
  const plan = planFixture({ root: directory, basePort, ...options })
  writeNginx(plan, credentials)
  const child = spawn('nginx', ['-c', configFile(plan), '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] })
  children.add(child)
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve())).then(() => {
    children.delete(child)
  })
  // A test that fails before it stops nginx must still end; the process takes nginx with it.
  const handles = [child, child.stderr as Socket]
  for (const handle of handles) handle.unref()
  const port = plan.proxy?.port ?? 0
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${errors}`)
    return (await send(port, { path: plan.proxy?.alivePath ?? '/' }).catch(() => null))?.status === 200
  })
  return {
    plan,
    directory,
    port,
    process: child,
    errors: () => errors,
    portOf: (name) => plan.services.find((service) => service.name === name)?.port ?? 0,
    logged: (requestId) => readLogEntry(plan, requestId),
    stop: () => {
      for (const handle of handles) handle.ref()
      child.kill('SIGTERM')
      return exited
    },
  }
}

function configFile(plan: Plan): string {
  return plan.proxy?.configFile ?? ''
}

/** Everything that nginx reads, on the disk. */
export function writeNginx(
  plan: Plan,
  credentials: { readonly htpasswd?: string; readonly bearerMap?: string } = {},
): void {
  const { proxy, paths } = plan
  if (proxy === null) return
  const files = new Map(
    emitNginx(plan, 'made by a test').map(({ path, content }) => [join(paths.root, path), content.toString()]),
  )
  files.set(proxy.credentialFiles.htpasswd, credentials.htpasswd ?? '')
  files.set(proxy.credentialFiles.bearerMap, credentials.bearerMap ?? '')
  for (const directory of [proxy.temporaryDirectory, dirname(proxy.accessLog), dirname(proxy.pidFile)]) {
    mkdirSync(directory, { recursive: true })
  }
  for (const [path, content] of files) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
}

async function readLogEntry(plan: Plan, requestId: unknown): Promise<Record<string, unknown>> {
  let entry: Record<string, unknown> | undefined
  await until(() => {
    const lines = readFileSync(plan.proxy?.accessLog ?? '', 'utf8')
      .split('\n')
      .slice(0, -1)
    entry = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find((each) => each.requestId === requestId)
    return entry !== undefined
  })
  return entry ?? {}
}

/** A simulated ComfyUI at the place that the plan gives to a service. */
export async function startComfyUi(machine: NginxMachine, name: string, args: string[] = []): Promise<Simulated> {
  const directory = join(machine.directory, name)
  mkdirSync(join(directory, 'user'), { recursive: true })
  const directories = ['user', 'temp', 'output', 'input'].flatMap((kind) => [
    `--${kind}-directory`,
    join(directory, kind),
  ])
  const words = ['comfyui', '--listen', '127.0.0.1', '--port', String(machine.portOf(name)), ...directories, ...args]
  const simulated = startSimulated(words, {}, directory)
  await simulated.waitFor(/To see the GUI go to/)
  return simulated
}

export { end }

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Question {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string | AsyncIterable<Buffer>
  /** Source address, one of 127.0.0.0/8. */
  readonly from?: string
}

/** One request on a connection of its own; the path is sent as it is given. */
export function send(port: number, { method = 'GET', path, headers = {}, body, from }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, method, path, headers, agent: false, ...(from ? { localAddress: from } : {}) },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString(),
          })
        })
      },
    )
    outgoing.on('error', reject)
    if (typeof body === 'string' || body === undefined) outgoing.end(body)
    else void writeAll(outgoing, body).catch(() => {})
  })
}

/** As fast as the server takes it, and no further once the server has closed. */
async function writeAll(outgoing: ReturnType<typeof request>, body: AsyncIterable<Buffer>): Promise<void> {
  let goOn = () => {}
  outgoing.on('drain', () => goOn())
  outgoing.on('close', () => goOn())
  for await (const chunk of body) {
    if (outgoing.destroyed) return
    const waiting = new Promise<void>((resolve) => {
      goOn = resolve
    })
    if (!outgoing.write(chunk)) await waiting
  }
  outgoing.end()
}

/** What a server got, for the stand-in of a stand-in. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** A server that keeps what it is asked, and answers as told. */
export async function startRecorder(
  port: number,
  answer: (received: Received) => { status?: number; headers?: Record<string, string>; body?: string } = () => ({}),
): Promise<{ readonly received: Received[]; close(): Promise<void> }> {
  const received: Received[] = []
  const server = createServer((incoming, outgoing) => {
    const question = { method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers }
    received.push(question)
    incoming.resume()
    incoming.on('end', () => {
      const { status = 200, headers = {}, body = '' } = answer(question)
      outgoing.writeHead(status, headers).end(body)
    })
  })
  await new Promise<void>((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', () => resolve()))
  server.unref()
  return {
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Asks until the answer is yes. */
export async function until(isTrue: () => Promise<boolean> | boolean, timeoutMs = START_TIMEOUT_MS): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error(`did not become true within ${timeoutMs} ms: ${isTrue}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** The first of so many ports in a row that are free now. */
export async function freePortRange(count: number): Promise<number> {
  for (;;) {
    // Below the ports that the kernel gives to outgoing connections.
    const base = 10_000 + Math.floor(Math.random() * 20_000)
    const ports = Array.from({ length: count }, (_, index) => base + index)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createTcpServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
