import { setTimeout as delay } from 'node:timers/promises'
import type { Engine } from './engine.ts'

export interface Container {
  readonly name: string
  /** Runs a shell line in it. */
  readonly shell: (line: string) => { readonly code: number | null; readonly output: string }
  /** GET of a path of the sidecar. */
  readonly get: (path: string) => { readonly status: number; readonly body: string }
  readonly logs: () => string
  /** Stops it as an engine does; its exit code and how long it took. */
  readonly stop: () => { readonly code: number; readonly tookMs: number }
  readonly exitCode: () => number | null
  readonly start: () => void
  readonly pid: () => number
}

let count = 0
const started: { engine: Engine; name: string }[] = []

export const ENVIRONMENT = { SERVER_CREDS: 'a-password-of-the-test', NUM_GPUS: '1' }

/** Starts the image without a network, so that no port of the host is in the way. */
export function startContainer(
  engine: Engine,
  image: string,
  environment: Readonly<Record<string, string>> = {},
  options: readonly string[] = [],
): Container {
  const name = `machinegen-test-${process.pid}-${++count}`
  const variables = Object.entries({ ...ENVIRONMENT, ...environment }).flatMap(([key, value]) => [
    '-e',
    `${key}=${value}`,
  ])
  const limits = ['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=4096:4096']
  started.push({ engine, name })
  const { code, output } = engine.run([
    ...['run', '--detach', '--name', name, '--network', 'none', ...limits],
    ...options,
    ...variables,
    image,
  ])
  if (code !== 0) throw new Error(`cannot start ${image}: ${output}`)
  const inspect = (format: string): string => engine.run(['inspect', '--format', format, name]).output.trim()
  const exitCode = () => (inspect('{{.State.Running}}') === 'true' ? null : Number(inspect('{{.State.ExitCode}}')))
  const shell: Container['shell'] = (line) => engine.run(['exec', name, 'sh', '-c', line])
  return {
    name,
    shell,
    exitCode,
    get: (path) => {
      const { output } = shell(`curl -s -m 5 -w '\\n%{http_code}' 'http://127.0.0.1:9090${path}'`)
      const lines = output.trimEnd().split('\n')
      return { status: Number(lines.pop()), body: lines.join('\n') }
    },
    logs: () => engine.run(['logs', name]).output,
    stop: () => {
      const startedMs = performance.now()
      engine.run(['stop', '--time', '30', name])
      return { code: exitCode() ?? -1, tookMs: performance.now() - startedMs }
    },
    start: () => {
      engine.run(['start', name])
    },
    pid: () => Number(inspect('{{.State.Pid}}')),
  }
}

/** Waits until `holds` does; fails with what it waited for, and the container's output. */
export async function eventually(container: Container, what: string, holds: () => boolean): Promise<void> {
  const endMs = Date.now() + 90_000
  while (!holds()) {
    if (Date.now() > endMs)
      throw new Error(`${what} did not come:\n${container.get('/status').body}\n${container.logs()}`)
    await delay(200)
  }
}

export const untilHealthy = (container: Container): Promise<void> =>
  eventually(container, 'a healthy machine', () => container.get('/health').status === 200)

export function removeContainers(): void {
  for (const { engine, name } of started.splice(0)) engine.run(['rm', '--force', '--volumes', name])
}
