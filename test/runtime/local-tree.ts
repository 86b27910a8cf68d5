import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { emitLocalTree } from '../../generator/emit/s6/emit-local.ts'
import type { Plan, PlannedService } from '../../schema/plan.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A service of a plan with short times; `overrides` must name it. */
export function plannedService(overrides: Partial<PlannedService> & { readonly name: string }): PlannedService {
  return {
    type: 'custom',
    key: overrides.name,
    gpu: null,
    kind: 'longrun',
    command: ['sleep', '1000'],
    workingDirectory: null,
    requiredFiles: [],
    user: null,
    environment: {},
    secretEnvironment: {},
    threadShare: null,
    listen: null,
    address: null,
    port: null,
    probe: { kind: 'uptime', graceMs: 50 },
    waitsFor: [],
    stopsBefore: overrides.name === 'sidecar' ? [] : ['sidecar'],
    restart: { maxAttempts: 3, windowMs: 60_000, backoff: { initialMs: 1000, maxMs: 1000, factor: 1 } },
    startupTimeoutMs: 20_000,
    liveness: { intervalMs: 500, timeoutMs: 500, failures: 2 },
    stop: { signal: 'SIGTERM', timeoutMs: 3000 },
    onDependencyRestart: 'keep',
    optional: false,
    logs: { directory: '', maxSizeBytes: 100_000, maxFiles: 3 },
    readiness: null,
    workerId: null,
    ...overrides,
  }
}

/** A plan for the local target below `root`. The sidecar is in `services` only if the caller puts it there. */
export function localPlan(root: string, services: readonly PlannedService[], sidecarPort = 0): Plan {
  const logs = `${root}/logs`
  return {
    version: 1,
    target: 'local',
    simulate: false,
    machine: { id: 'test-machine', stopGracePeriodMs: 30_000, s6Overlay: '3.2.3.2' },
    gpus: [],
    paths: {
      root,
      workspace: `${root}/workspace`,
      shared: `${root}/workspace/shared`,
      logs,
      config: `${root}/config`,
      library: `${root}/library`,
      programs: `${root}/programs`,
      run: `${root}/run`,
      gates: `${root}/run/ready`,
      services: `${root}/services`,
      state: `${root}/workspace/.machine`,
    },
    directories: [`${root}/workspace`, logs].map((path) => ({ path, mode: 0o755, user: null })),
    links: [],
    services: services.map((service) => ({
      ...service,
      logs: { ...service.logs, directory: `${logs}/${service.name}` },
    })),
    bundles: {},
    proxy: null,
    sidecar: { ...planFixture({ basePort: sidecarPort }).sidecar },
    redis: planFixture().redis,
    secrets: [],
    secretFiles: [],
    provisioning: planFixture().provisioning,
    ssh: null,
    stopBudget: { chain: [], totalMs: 0, stopGracePeriodMs: 30_000 },
  }
}

/** Writes the service directories, the shell library and plan.json; gives the path of the last. */
export function writeLocalTree(plan: Plan): string {
  for (const { path, mode, content } of emitLocalTree(plan, 'made by a test')) {
    const file = join(plan.paths.root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    chmodSync(file, mode)
  }
  for (const directory of [plan.paths.library, plan.paths.config]) mkdirSync(directory, { recursive: true })
  copyFileSync(`${repository}/rootfs/usr/lib/machinegen/service.sh`, `${plan.paths.library}/service.sh`)
  const planFile = `${plan.paths.config}/plan.json`
  writeFileSync(planFile, JSON.stringify(plan))
  return planFile
}

/** Bundles a program of the runtime as the build does, so that it starts as fast. */
export function bundleProgram(source: string, outfile: string): string {
  buildSync({
    entryPoints: [join(repository, source)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  })
  return outfile
}

/** The sidecar as a service of a local plan. */
export function sidecarService(program: string, planFile: string, port: number): PlannedService {
  return plannedService({
    name: 'sidecar',
    type: 'sidecar',
    command: [process.execPath, '--max-semi-space-size=1', program, '--plan', planFile],
    listen: '127.0.0.1',
    address: '127.0.0.1',
    port,
    probe: null,
    restart: null,
  })
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  return Promise.all(
    servers.map(async (server) => {
      const { port } = server.address() as { port: number }
      await new Promise((resolve) => server.close(resolve))
      return port
    }),
  )
}

/** A small HTTP service: `PORT`, `DELAY_MS` until it listens; `/hang`, `/fail` and `/die` spoil it. */
export const SERVICE_PROGRAM = `
import { createServer } from 'node:http'
let mode = 'ok'
const server = createServer((request, response) => {
  if (request.url === '/hang' || request.url === '/fail') mode = request.url.slice(1)
  if (request.url === '/die') process.exit(7)
  if (request.url === '/ok' && mode === 'hang') return
  response.writeHead(request.url === '/ok' && mode === 'fail' ? 503 : 200)
  response.end(String(process.pid))
})
setTimeout(() => server.listen(Number(process.env.PORT), '127.0.0.1'), Number(process.env.DELAY_MS ?? 0))
if (process.env.IGNORE_TERM) process.on('SIGTERM', () => {})
`

/** Polls until the condition holds; fails with what it was about after `timeoutMs`. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  condition: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const deadlineMs = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value as NonNullable<T>
    if (Date.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
