/** Stand-ins of services as real processes, with a real s6-log behind them, and an inspector that looks into them. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createHttpAsk } from '../../runtime/sidecar/probes/http-ask.ts'
import { createInspector, type Inspection } from '../../runtime/sidecar/workload/inspector.ts'
import type { PlannedService } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { plannedService, until } from './local-tree.ts'
import { end, freePort, startSimulated } from './start-simulated.ts'

export interface Inspected {
  readonly url: string
  readonly inspect: () => Promise<Inspection>
  /** Looks again and again until the inspection is as wanted. */
  readonly inspectUntil: (what: string, isWanted: (inspection: Inspection) => boolean) => Promise<Inspection>
  readonly stop: () => Promise<void>
}

interface Wanted {
  readonly type: 'comfyui' | 'automatic1111' | 'ollama'
  readonly knobs?: Readonly<Record<string, string>>
  readonly stallMs?: number
}

const PROGRAMS = {
  comfyui: { args: (port: number) => ['--port', String(port)], started: /To see the GUI/ },
  automatic1111: { args: (port: number) => ['--port', String(port), '--api', '--nowebui'], started: /Uvicorn running/ },
  ollama: { args: () => ['serve'], started: /Listening on/ },
}

/** Starts one, its output logged as under the supervisor. */
export async function inspectSimulated({ type, knobs = {}, stallMs = 0 }: Wanted): Promise<Inspected> {
  const directory = temporaryDirectory()
  const logs = `${directory}/log`
  const port = await freePort()
  const logger = spawn('s6-log', ['--', 'T', logs], { stdio: ['pipe', 'ignore', 'inherit'] })
  process.once('exit', () => logger.kill('SIGKILL'))
  const ended = new Promise((resolve) => logger.once('exit', resolve))
  await until(
    'the logger has begun',
    10_000,
    () => readdirSync(directory).includes('log') && readdirSync(logs).includes('current'),
  )
  const service: PlannedService = plannedService({
    name: type,
    type,
    port,
    address: '127.0.0.1',
    liveness: { intervalMs: 1000, timeoutMs: 5000, failures: 3, stallMs },
    logs: { directory: logs, maxSizeBytes: 1e6, maxFiles: 3 },
  })
  const http = createHttpAsk()
  const inspector = createInspector({ service, ask: http.ask, launch: { atMs: Date.now(), isFresh: true } })!
  mkdirSync(`${directory}/models/checkpoints`, { recursive: true })
  writeFileSync(`${directory}/models/checkpoints/model.safetensors`, '')
  const { args, started } = PROGRAMS[type]
  const environment = { OLLAMA_HOST: `127.0.0.1:${port}`, OLLAMA_MODELS: `${directory}/ollama`, ...knobs }
  const simulated = startSimulated([type, ...args(port)], environment, directory)
  simulated.child.stdout?.pipe(logger.stdin, { end: false })
  simulated.child.stderr?.pipe(logger.stdin, { end: false })
  await simulated.waitFor(started)
  const inspectUntil: Inspected['inspectUntil'] = (what, isWanted) =>
    until(what, 20_000, async () => {
      const inspection = await inspector.inspect()
      return isWanted(inspection) ? inspection : null
    })
  return {
    url: `http://127.0.0.1:${port}`,
    inspect: inspector.inspect,
    inspectUntil,
    stop: async () => {
      inspector.close()
      await end(simulated)
      logger.stdin.end()
      await Promise.all([ended, http.close()])
    },
  }
}

/** Sends JSON; gives the status. */
export async function post(url: string, body: unknown): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })
  await response.text()
  return response.status
}

/** A prompt of ComfyUI that needs no model; a different colour each time, as results are cached. */
export function imagePrompt(color: number): Record<string, unknown> {
  return {
    1: { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color } },
    2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  }
}

/** A prompt with a sampler of that many steps; its checkpoint is there for every stand-in of this file. */
export function sampledPrompt(steps: number): Record<string, unknown> {
  const sampler = { seed: 1, steps, cfg: 8, sampler_name: 'euler', scheduler: 'normal', denoise: 1 }
  const sources = { model: ['4', 0], positive: ['6', 0], negative: ['6', 0], latent_image: ['5', 0] }
  return {
    3: { class_type: 'KSampler', inputs: { ...sources, ...sampler } },
    4: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'model.safetensors' } },
    5: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    6: { class_type: 'CLIPTextEncode', inputs: { text: 'a cat', clip: ['4', 1] } },
    8: { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
    9: { class_type: 'PreviewImage', inputs: { images: ['8', 0] } },
  }
}
