/**
 * `npm run bench:http`: how many requests the sidecar of an 8-GPU machine answers. Its own time on the processor is what
 * counts: requests by the seconds of a core that they took, whatever else runs here. Ends with 1 when a target is missed.
 * BENCH_SECONDS: how long each route is asked, 3 by default.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { compile } from '../generator/compile.ts'
import { machineText } from './machine-text.ts'

const SECONDS = Number(process.env.BENCH_SECONDS ?? 3)
const CONNECTIONS = 32
const TICKS_PER_SECOND = 100
/** Requests by a second of one core. */
const TARGETS: Readonly<Record<string, number | null>> = {
  '/health': 10_000,
  '/metrics': 3000,
  '/services/comfyui-gpu0': null,
  '/status': null,
}

interface Load {
  readonly requests: number
  readonly seconds: number
  readonly coreSeconds: number
  readonly statuses: readonly string[]
  readonly bytes: number
  /** Milliseconds of the slowest in a hundred. */
  readonly p99Ms: number
}

const scratch = mkdtempSync(join(tmpdir(), 'machinegen-bench-http-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** The program as the build makes it, of the sources as they are now. */
async function bundleSidecar(): Promise<string> {
  const outfile = join(scratch, 'sidecar.mjs')
  await build({
    entryPoints: ['runtime/sidecar/main.ts'],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    banner: {
      js: "import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  return outfile
}

/** A machine without its supervisor: nothing of it runs, and the sidecar says so of each service. */
function writePlan(port: number): string {
  const { plan } = compile({
    sources: [{ file: 'machine.yaml', text: machineText(8) }],
    sets: [`sidecar.port=${port}`],
    target: 'local',
    local: { stateDirectory: scratch, programDirectory: resolve('dist'), node: process.execPath },
  })
  if (plan === null) throw new Error('cannot measure: the machine does not compile')
  for (const directory of [plan.paths.services, plan.paths.run]) mkdirSync(directory, { recursive: true })
  const file = join(scratch, 'plan.json')
  writeFileSync(file, JSON.stringify(plan))
  return file
}

async function untilItAnswers(port: number, path: string): Promise<void> {
  for (const endMs = performance.now() + 20_000; performance.now() < endMs; ) {
    const status = await fetch(`http://127.0.0.1:${port}${path}`).then(
      async (answer) => {
        const { code } = ((await answer.json().catch(() => null)) as { error?: { code: string } } | null)?.error ?? {}
        return code ?? 'answered'
      },
      () => 'refused',
    )
    if (status === 'answered') return
    await new Promise((done) => setTimeout(done, 50))
  }
  throw new Error(`cannot measure ${path}: it does not answer`)
}

function coreSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** One connection that asks again as soon as it is answered. */
function askAgainAndAgain(port: number, path: string, tell: (ms: number, bytes: number, status: string) => void) {
  const question = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let pending = Buffer.alloc(0)
  let askedMs = 0
  const ask = () => {
    askedMs = performance.now()
    socket.write(question)
  }
  socket.on('connect', ask)
  socket.on('error', (error) => {
    throw error
  })
  socket.on('data', (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const headEnd = pending.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = /content-length: (\d+)/i.exec(pending.toString('latin1', 0, headEnd))?.[1]
    const end = headEnd + 4 + Number(length)
    if (pending.length < end) return
    tell(performance.now() - askedMs, end, pending.toString('latin1', 9, 12))
    pending = Buffer.alloc(0)
    ask()
  })
  return () => socket.destroy()
}

async function load(port: number, pid: number, path: string, seconds: number): Promise<Load> {
  const latencies: number[] = []
  const statuses = new Set<string>()
  let bytes = 0
  const startedMs = performance.now()
  const before = coreSeconds(pid)
  const stops = Array.from({ length: CONNECTIONS }, () =>
    askAgainAndAgain(port, path, (ms, size, status) => {
      latencies.push(ms)
      statuses.add(status)
      bytes = size
    }),
  )
  await new Promise((done) => setTimeout(done, seconds * 1000))
  const spent = coreSeconds(pid) - before
  const elapsed = (performance.now() - startedMs) / 1000
  for (const stop of stops) stop()
  latencies.sort((a, b) => a - b)
  const p99Ms = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN
  return { requests: latencies.length, seconds: elapsed, coreSeconds: spent, statuses: [...statuses], bytes, p99Ms }
}

function report(path: string, { requests, seconds, coreSeconds: spent, statuses, bytes, p99Ms }: Load): boolean {
  const byCore = requests / spent
  const target = TARGETS[path] ?? null
  const isMet = target === null || byCore >= target
  const verdict = target === null ? '' : `  target ${target}: ${isMet ? 'met' : 'MISSED'}`
  console.log(
    `${path.padEnd(24)} ${byCore.toFixed(0).padStart(7)} by core second ${(requests / seconds).toFixed(0).padStart(7)}/s ` +
      `p99 ${p99Ms.toFixed(1)} ms  ${bytes} bytes  status ${statuses.join(' ')}${verdict}`,
  )
  return isMet
}

const port = await freePort()
const [program, plan] = [await bundleSidecar(), writePlan(port)]
const flags = ['--max-semi-space-size=1', '--max-old-space-size=64']
const sidecar = spawn(process.execPath, [...flags, program, '--plan', plan], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined },
})
process.on('exit', () => sidecar.kill())
let met = true
for (const path of Object.keys(TARGETS)) {
  await untilItAnswers(port, path)
  await load(port, sidecar.pid!, path, SECONDS / 3)
  met = report(path, await load(port, sidecar.pid!, path, SECONDS)) && met
}
const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${sidecar.pid}/status`, 'latin1'))?.[1]
console.log(`resident afterwards: ${(Number(resident) / 1024).toFixed(0)} MB`)
sidecar.kill()
await once(sidecar, 'exit')
process.exitCode = met ? 0 : 1
