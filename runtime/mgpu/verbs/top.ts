import { setTimeout as sleep } from 'node:timers/promises'
import type { Plan } from '../../../schema/plan.ts'
import { createUsageReader } from '../../sidecar/http/process-usage.ts'
import type { SidecarGpu, SidecarResources } from '../ask-sidecar.ts'
import { type Console, widthOf } from '../console.ts'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { readMachine } from '../machine-facts.ts'
import { openScreen } from '../screen.ts'
import { formatTop, type TopFacts, type Usage } from '../top-frame.ts'

const INTERVAL_MS = 1000

/** `top`: a picture of the machine each second until `q` or Ctrl-C; one picture where there is no terminal. */
export const run: Command = async ({ plan, console }) => {
  const gather = createGatherer(plan)
  if (!console.stdout.isTTY || !process.stdin.isTTY) {
    console.out(`${formatTop(await gather(), { color: console.isColored, columns: widthOf(console) }).join('\n')}\n`)
    return EXIT.done
  }
  const keys = listenForKeys(console.signal)
  const screen = openScreen(console.stdout)
  let facts: TopFacts | null = null
  const draw = () => {
    if (facts !== null) screen.draw(formatTop(facts, { color: console.isColored, columns: widthOf(console) }))
  }
  process.stdout.on('resize', draw)
  try {
    while (!keys.signal.aborted) {
      facts = await gather()
      draw()
      await sleep(INTERVAL_MS, undefined, { signal: keys.signal }).catch(() => {})
    }
  } finally {
    screen.close()
    keys.close()
  }
  return EXIT.done
}

/** A signal that `q`, Escape and Ctrl-C abort: a terminal in raw mode sends no signals. */
function listenForKeys(outer: Console['signal']): { readonly signal: AbortSignal; readonly close: () => void } {
  const { stdin } = process
  const controller = new AbortController()
  outer.addEventListener('abort', () => controller.abort())
  stdin.setRawMode(true)
  stdin.resume()
  stdin.on('data', (keys: Buffer) => {
    if (/^\u001b$|[qQ\u0003]/.test(keys.toString('latin1'))) controller.abort()
  })
  return {
    signal: controller.signal,
    close: () => {
      stdin.setRawMode(false)
      stdin.pause()
    },
  }
}

function createGatherer(plan: Plan): () => Promise<TopFacts> {
  const usageOf = createUsageReader(Date.now)
  const own = createOwnReadings(plan)
  return async () => {
    const { sidecar, services } = await readMachine(plan, plan.services)
    const usage = new Map<string, Usage>()
    for (const { service, pid } of services) if (pid !== null) usage.set(service.name, usageOf(pid) ?? NO_USAGE)
    const known = sidecar.kind === 'answer' ? sidecar.status : null
    const rest = known?.resources == null ? await own() : { gpus: known.gpus, resources: known.resources }
    return { machine: plan.machine.id, atMs: Date.now(), sidecar, services, usage, ...rest }
  }
}

const NO_USAGE: Usage = { cpu: null, memory: null }

/** How long one answer of nvidia-smi is shown: it takes a second, and more of a driver that is busy. */
const GPU_AGE_MS = 5000

/** Readings of GPUs and disks from here, for as long as the sidecar gives none. */
function createOwnReadings(plan: Plan) {
  let cached: { readonly gpus: readonly SidecarGpu[]; readonly resources: SidecarResources } | null = null
  let readAtMs = Number.NEGATIVE_INFINITY
  return async () => {
    if (cached !== null && performance.now() - readAtMs < GPU_AGE_MS) return cached
    const { readResources } = await import('../own-readings.ts')
    cached = await readResources(plan)
    readAtMs = performance.now()
    return cached
  }
}
