import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { temporaryDirectory } from '../temporary-directory.ts'

/** A whole machine under `machinegen up`, started as a user starts it. */
export interface RunningMachine {
  readonly child: ChildProcess
  readonly stateDirectory: string
  /** What it printed so far. */
  readonly output: () => string
  readonly exitCode: Promise<number | null>
  readonly portOffset: number
}

const { bin } = JSON.parse(readFileSync('package.json', 'utf8'))
const started: RunningMachine[] = []

/** Starts a machine file with stand-ins, on free ports. The stand-ins' knobs go in by the environment. */
export async function startMachine(
  text: string,
  environment: Record<string, string> = {},
  simulate = true,
): Promise<RunningMachine> {
  const directory = temporaryDirectory()
  const file = join(directory, 'machine.yaml')
  const stateDirectory = join(directory, 'state')
  writeFileSync(file, text)
  const portOffset = await freeOffset()
  const options = [
    ...(simulate ? ['--simulate'] : []),
    '--state-dir',
    stateDirectory,
    '--port-offset',
    String(portOffset),
  ]
  const child = spawn(process.execPath, [bin.machinegen, 'up', file, ...options], {
    env: { ...process.env, SERVER_CREDS: 'pw', HUB_REDIS_URL: '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const exitCode = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const machine = { child, stateDirectory, output: () => output, exitCode, portOffset }
  started.push(machine)
  return machine
}

/** Ports of the machines of these tests. */
const PORTS = [22, 80, 3188, 3189, 7000, 8188, 8189, 9090, 11_434]

/**
 * An offset at which they are free, and stay so: below the ports that the kernel gives to outgoing connections (32768 on
 * Linux), one of which could take the port of a service that a test has just killed.
 */
async function freeOffset(): Promise<number> {
  for (let offset = 12_000 + (process.pid % 160) * 50; ; offset += 50) {
    const free = await Promise.all(PORTS.map((port) => isFree(port + offset)))
    if (free.every(Boolean)) return offset
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Asks the machine to stop, as Ctrl-C does, and waits for it. */
export async function stopMachine(machine: RunningMachine, signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
  machine.child.kill(signal)
  return machine.exitCode
}

/** Stops what a failed test left running. */
export async function stopAll(): Promise<void> {
  await Promise.all(started.filter(({ child }) => child.exitCode === null).map((machine) => stopMachine(machine)))
}

/** Polls until a condition holds; the message tells what was waited for. */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 30_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await Promise.resolve()
      .then(condition)
      .catch(() => undefined)
    if (value) return value as NonNullable<T>
    if (Date.now() > deadline) throw new Error(`cannot see ${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

export interface ServiceAnswer {
  readonly name: string
  readonly state: string
  readonly ready: boolean
  readonly pid: number | null
  readonly restarts: number
  readonly reason: string | null
}

export async function services(machine: RunningMachine): Promise<Record<string, ServiceAnswer>> {
  const answer = await fetch(`http://127.0.0.1:${9090 + machine.portOffset}/services`)
  const body = (await answer.json()) as { services: ServiceAnswer[] }
  return Object.fromEntries(body.services.map((service) => [service.name, service]))
}

export const allReady = async (machine: RunningMachine): Promise<boolean> =>
  Object.values(await services(machine)).every((service) => service.ready)

/** Processes that have anything to do with a state directory: by command line, working directory or environment. */
export function processesOf(stateDirectory: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8')
        return words.includes(stateDirectory) || readlinkSync(`/proc/${pid}/cwd`).startsWith(stateDirectory)
      } catch {
        return false
      }
    })
}
