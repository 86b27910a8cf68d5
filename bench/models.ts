/**
 * `npm run bench:models`: how fast the provisioner fetches, against curl and aria2c (Debian: curl, aria2), as whole
 * processes: on loopback, over a line with latency in a network namespace (root, and a kernel with netem), and through a
 * relay in user space. Then it is killed 100 times while it fetches 20 files of 1 to 200 MB. Ends with 1 when a target is
 * missed: as fast as the better of the two, less the start of Node, which is no throughput; at most 1.1 x the bytes; less
 * than 150 MB of memory; a second run in less than a second. BENCH_ONLY=near,far,kills measures some of them.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { bundleProvisioner, hashOfFile, provisionThroughKills } from '../test/fixtures/killed-provisioner.ts'
import { modelPlan } from '../test/fixtures/model-plan.ts'
import { startModelServer } from '../test/fixtures/model-server.ts'
import { createSlowNetwork, type FileServer, startNginx, startRelay } from './file-server.ts'
import { type Contestant, race } from './measure.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7)
const KILLS = Number(process.env.BENCH_KILLS ?? 100)
const MB = 1_000_000
/** A disk would be measured, not a program. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : (process.env.TMPDIR ?? '/tmp')
/** As the service of the task has them. */
const FLAGS = ['--max-old-space-size=96', '--max-semi-space-size=4']

const scratch = mkdtempSync(join(MEMORY, 'bench-models-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const failures: string[] = []

function expect(isMet: boolean, what: string): string {
  if (!isMet) failures.push(what)
  return isMet ? 'met' : 'MISSED'
}

/** Files that a server sends, of random bytes. */
function makeFiles(directory: string, count: number, sizeBytes: number): string[] {
  mkdirSync(directory, { recursive: true })
  const piece = randomBytes(16 * MB)
  return Array.from({ length: count }, (_, index) => {
    const descriptor = openSync(join(directory, `${index}.bin`), 'w')
    for (let at = 0; at < sizeBytes; at += piece.length) {
      writeSync(descriptor, piece, 0, Math.min(piece.length, sizeBytes - at))
    }
    closeSync(descriptor)
    return `${index}.bin`
  })
}

interface Scene {
  readonly title: string
  readonly files: readonly string[]
  readonly bytes: number
  readonly rounds: number
}

function contestants(scene: Scene, server: FileServer, program: string, root: string): Contestant[] {
  const out = join(root, 'out')
  const urls = scene.files.map((file) => server.url(file))
  const clean = () => {
    for (const path of [out, join(root, 'workspace'), join(root, 'run')]) rmSync(path, { recursive: true, force: true })
    mkdirSync(out, { recursive: true })
  }
  writeFileSync(join(root, 'urls'), urls.join('\n'))
  writeFileSync(
    join(root, 'plan.json'),
    JSON.stringify(
      modelPlan(
        root,
        urls.map((url) => ({ url })),
      ),
    ),
  )
  const curl = [...['-s', '-S', '--fail', '--parallel', '--parallel-max', '4', '--remote-name-all'], ...urls]
  const aria = ['-q', '-x4', '-s4', '-j4', '-k1M', '--file-allocation=none', '-d', out, '-i', join(root, 'urls')]
  return [
    {
      name: 'provisioner',
      command: [process.execPath, ...FLAGS, program, 'models', '--plan', join(root, 'plan.json')],
      before: clean,
    },
    ...(has('curl')
      ? [{ name: 'curl', command: ['sh', '-c', 'cd "$0" && exec curl "$@"', out, ...curl], before: clean }]
      : []),
    ...(has('aria2c') ? [{ name: 'aria2c', command: ['aria2c', ...aria], before: clean }] : []),
  ]
}

const EMPTY = 'node -e 0'

function compare(scene: Scene, server: FileServer, program: string): void {
  const root = mkdtempSync(join(scratch, 'race-'))
  const empty = { name: EMPTY, command: [process.execPath, '-e', '0'] }
  const results = race([...contestants(scene, server, program, root), empty], scene.rounds)
  const own = results.get('provisioner')!
  const startMs = results.get(EMPTY)!.medianMs
  results.delete(EMPTY)
  const others = [...results].filter(([name]) => name !== 'provisioner').map(([, { medianMs }]) => medianMs)
  console.log(`${scene.title}, medians of ${scene.rounds} runs`)
  for (const [name, { medianMs, peakBytes }] of results) {
    const rate = `${(scene.bytes / medianMs / 1000).toFixed(0).padStart(6)} MB/s`
    console.log(
      `  ${name.padEnd(12)} ${medianMs.toFixed(0).padStart(6)} ms ${rate} ${(peakBytes / MB).toFixed(0).padStart(5)} MB of memory`,
    )
  }
  if (others.length > 0) {
    const whole = Math.min(...others) / own.medianMs
    const ratio = Math.min(...others) / (own.medianMs - startMs)
    console.log(
      `  ${whole.toFixed(2)} x the better of them, ${ratio.toFixed(2)} x less the ${startMs.toFixed(0)} ms that an empty Node takes; target 1.0: ${expect(ratio >= 0.995, `${scene.title}: speed`)}`,
    )
  }
  const memory = own.peakBytes / MB
  console.log(`  memory below 150 MB: ${expect(memory < 150, `${scene.title}: memory`)}`)
  rmSync(root, { recursive: true, force: true })
}

function secondRun(server: FileServer, program: string): void {
  const root = mkdtempSync(join(scratch, 'second-'))
  const [own] = contestants({ title: '', files: ['0.bin'], bytes: 0, rounds: 1 }, server, program, root)
  own!.before?.()
  const results = race([{ name: 'second run', command: own!.command }], ROUNDS)
  const { medianMs } = results.get('second run')!
  const verdict = expect(medianMs < 1000, 'second run')
  console.log(`second run of a provisioned volume: ${medianMs.toFixed(0)} ms; target below 1000: ${verdict}`)
  rmSync(root, { recursive: true, force: true })
}

/** 20 files of 1 to 200 MB, and SIGKILL at random moments. */
async function survive(program: string): Promise<void> {
  const root = mkdtempSync(join(scratch, 'kill-'))
  const server = await startModelServer()
  server.bytesPerSecond = 12 * MB
  server.latencyMs = 30
  const shared = randomBytes(220 * MB)
  const sizes = Array.from({ length: 20 }, (_, index) => Math.round((1 + (199 * index) / 19) * MB))
  const contents = sizes.map((size, index) => shared.subarray(index * MB, index * MB + size))
  contents.forEach((content, index) => void server.files.set(`/${index}.bin`, { content }))
  const plan = modelPlan(
    root,
    contents.map((_, index) => ({ url: server.url(`/${index}.bin`) })),
  )
  const { sentBytes } = server
  const options = { program, root, plan, kills: KILLS, random: Math.random, mostLifeMs: 250, sentBytes, flags: FLAGS }
  const { code, kills, text } = await provisionThroughKills(options)
  const folder = join(root, 'workspace/shared/models/checkpoints')
  let wrong = code === 0 ? 0 : sizes.length
  for (const [index, content] of code === 0 ? contents.entries() : []) {
    const expected = join(scratch, 'expected')
    writeFileSync(expected, content)
    if ((await hashOfFile(join(folder, `${index}.bin`))) !== (await hashOfFile(expected))) wrong += 1
  }
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const ratio = sentBytes() / total
  console.log(`${kills} kills while ${sizes.length} files of 1 to 200 MB come (${(total / MB).toFixed(0)} MB)`)
  console.log(
    `  files with a wrong byte: ${wrong}; target 0: ${expect(wrong === 0, `bytes after kills: ${text.slice(-500)}`)}`,
  )
  console.log(`  ${ratio.toFixed(3)} x the bytes were sent; target 1.1: ${expect(ratio <= 1.1, 'bytes fetched')}`)
  await server.close()
  rmSync(root, { recursive: true, force: true })
}

for (const program of ['curl', 'aria2c', 'nginx']) {
  if (!has(program) && !existsSync(`/usr/sbin/${program}`))
    console.log(`not measured against ${program}: it is not here`)
}
const program = await bundleProvisioner(scratch)
console.log(`whole processes on ${scratch}, Node ${process.version}`)

const only = process.env.BENCH_ONLY?.split(',') ?? ['near', 'far', 'kills']
const served = join(scratch, 'served')

async function nearby(): Promise<void> {
  const [large] = makeFiles(served, 1, 3000 * MB)
  const many = makeFiles(join(served, 'many'), 8, 300 * MB).map((name) => `many/${name}`)
  const nginx = await startNginx(scratch, served, '127.0.0.1')
  const bytes = statSync(join(served, large!)).size
  compare({ title: 'loopback, one file of 3 GB', files: [large!], bytes, rounds: ROUNDS }, nginx, program)
  compare({ title: 'loopback, 8 files of 300 MB', files: many, bytes: 2400 * MB, rounds: ROUNDS }, nginx, program)
  secondRun(nginx, program)
  nginx.close()
}

async function farAway(): Promise<void> {
  const one = makeFiles(join(served, 'one'), 1, 500 * MB).map((name) => `one/${name}`)
  const two = makeFiles(join(served, 'two'), 2, 250 * MB).map((name) => `two/${name}`)
  const rounds = Math.min(3, ROUNDS)
  const compareOver = (line: string, server: FileServer) => {
    compare({ title: `${line}, one file of 500 MB`, files: one, bytes: 500 * MB, rounds }, server, program)
    compare({ title: `${line}, 2 files of 250 MB`, files: two, bytes: 500 * MB, rounds }, server, program)
  }
  const network = createSlowNetwork(40, '400mbit')
  try {
    const server = network && (await startNginx(scratch, served, network.address, network.namespace))
    if (server !== null) compareOver('a namespace with 400 Mbit/s and 80 ms', server)
    server?.close()
  } finally {
    network?.close()
  }
  const nginx = await startNginx(scratch, served, '127.0.0.1')
  const relay = await startRelay(nginx, 40, 50 * MB, 20 * MB)
  compareOver('a relay with 50 MB/s, 20 of them for one connection, and 80 ms', relay)
  relay.close()
  nginx.close()
}

for (const [name, measure] of Object.entries({ near: nearby, far: farAway, kills: () => survive(program) })) {
  if (only.includes(name)) await measure()
  rmSync(served, { recursive: true, force: true })
}
for (const failure of failures) console.log(`missed: ${failure}`)
process.exitCode = failures.length === 0 ? 0 : 1
