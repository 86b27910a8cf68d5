import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readKnobs } from '../../runtime/simulate/knobs.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

async function comfyUi(env: Record<string, string> = {}, args: string[] = []) {
  const directory = temporaryDirectory()
  const port = await freePort()
  const words = ['comfyui', '--port', String(port), '--temp-directory', directory, '--cpu', ...args]
  return {
    ...startSimulated(words, env, directory),
    url: `http://127.0.0.1:${port}`,
    port,
    temp: join(directory, 'temp'),
    directory,
  }
}

const LISTENING = /To see the GUI go to/
const PICTURE = {
  '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 0 } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
}

async function runPrompt(url: string) {
  const answer = await fetch(`${url}/prompt`, { method: 'POST', body: JSON.stringify({ prompt: PICTURE }) })
  const { prompt_id: id } = (await answer.json()) as { prompt_id: string }
  for (let attempt = 0; attempt < 200; attempt++) {
    const history = (await (await fetch(`${url}/history/${id}`)).json()) as Record<
      string,
      { status: { messages: [string, Record<string, string>][] } }
    >
    if (history[id]) return history[id].status.messages.at(-1)
    await sleep(20)
  }
  return undefined
}

test('SIGINT ends ComfyUI with 0 and removes its temp directory, which a start empties', async () => {
  const comfy = await comfyUi()
  mkdirSync(comfy.temp)
  writeFileSync(join(comfy.temp, 'left-over.png'), '')
  await comfy.waitFor(LISTENING)
  assert.ok(existsSync(comfy.temp))
  assert.not(existsSync(join(comfy.temp, 'left-over.png')))
  assert.equal(await end(comfy, 'SIGINT'), { code: 0, signal: null })
  assert.match(comfy.output(), 'Stopped server')
  assert.not(existsSync(comfy.temp))
})

test('SIGTERM kills ComfyUI by the signal and leaves its temp directory', async () => {
  const comfy = await comfyUi()
  await comfy.waitFor(LISTENING)
  assert.equal(await end(comfy, 'SIGTERM'), { code: null, signal: 'SIGTERM' })
  assert.ok(existsSync(comfy.temp))
})

test('a busy port ends ComfyUI with 1 and the words of Python', async () => {
  const stranger = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => stranger.on('listening', resolve))
  const { port } = stranger.address() as { port: number }
  const comfy = startSimulated(['comfyui', '--port', String(port)], {}, temporaryDirectory())
  assert.equal(await comfy.exited, { code: 1, signal: null })
  assert.match(comfy.output(), 'OSError: [Errno 98]')
  stranger.close()
})

test('flags are refused as argparse refuses them', async () => {
  const run = async (...args: string[]) => {
    const simulated = startSimulated(args, {}, temporaryDirectory())
    return { ...(await simulated.exited), output: simulated.output() }
  }
  const [unknown, badPort, noDirectory, exclusive, noProgram, help] = await Promise.all([
    run('comfyui', '--port', '1', '--no-such-flag', 'x'),
    run('comfyui', '--port', 'abc'),
    run('comfyui', '--user-directory', '/nonexistent'),
    run('automatic1111', '--precision', 'both'),
    run('nothing'),
    run('comfyui', '--help'),
  ])
  assert.is(unknown?.code, 2)
  assert.match(unknown?.output ?? '', /^usage: main.py \[-h\]/)
  assert.match(unknown?.output ?? '', 'main.py: error: unrecognized arguments: --no-such-flag x')
  assert.match(badPort?.output ?? '', "argument --port: invalid int value: 'abc'")
  assert.match(noDirectory?.output ?? '', "argument --user-directory: The path '/nonexistent' does not exist.")
  assert.match(exclusive?.output ?? '', "argument --precision: invalid choice: 'both'")
  assert.is(noProgram?.code, 2)
  assert.is(help?.code, 0)
})

test('knobs: late start, refused signals, and an end of its own', async () => {
  const comfy = await comfyUi({
    SIMULATE_STARTUP_MS: '300',
    SIMULATE_IGNORE_TERM: '1',
    SIMULATE_CRASH_AFTER_MS: '700',
    SIMULATE_EXIT_CODE: '42',
  })
  await comfy.waitFor(LISTENING)
  comfy.child.kill('SIGTERM')
  comfy.child.kill('SIGINT')
  await sleep(100)
  assert.is((await fetch(`${comfy.url}/prompt`)).status, 200)
  assert.equal(await comfy.exited, { code: 42, signal: null })
})

test('knobs: a crash at start while a file exists, by the signal that the exit code means', async () => {
  const flag = join(temporaryDirectory(), 'crash')
  writeFileSync(flag, '')
  const env = { SIMULATE_CRASH_AT_START: flag, SIMULATE_EXIT_CODE: '139' }
  assert.equal(await (await comfyUi(env)).exited, { code: null, signal: 'SIGSEGV' })
  rmSync(flag)
  const comfy = await comfyUi(env)
  await comfy.waitFor(LISTENING)
  await end(comfy)
})

test('knobs: a hang accepts connections, answers none, and is deaf to SIGINT but not to SIGKILL', async () => {
  const comfy = await comfyUi({ SIMULATE_HANG_AFTER_MS: '0' })
  await comfy.waitFor(LISTENING)
  await sleep(100)
  const answer = fetch(`${comfy.url}/prompt`, { signal: AbortSignal.timeout(500) }).then(
    () => 'answered',
    (error: Error) => error.name,
  )
  comfy.child.kill('SIGINT')
  assert.is(await answer, 'TimeoutError')
  assert.equal(await end(comfy), { code: null, signal: 'SIGKILL' })
})

test('knobs: memory runs out every so often, and a CUDA fault stays', async () => {
  const comfy = await comfyUi({ SIMULATE_OOM_EVERY: '2', SIMULATE_CUDA_FAULT_AFTER: '4' })
  await comfy.waitFor(LISTENING)
  assert.is((await runPrompt(comfy.url))?.[0], 'execution_success')
  const [type, failure] = (await runPrompt(comfy.url)) ?? []
  assert.is(type, 'execution_error')
  assert.is(failure?.exception_type, 'torch.OutOfMemoryError')
  assert.match(failure?.exception_message ?? '', 'CUDA out of memory')
  assert.is((await runPrompt(comfy.url))?.[0], 'execution_success')
  for (const _ of [4, 5]) {
    assert.match((await runPrompt(comfy.url))?.[1].exception_message ?? '', 'an illegal memory access was encountered')
  }
  assert.is((await fetch(`${comfy.url}/system_stats`)).status, 200, 'the process lives')
  assert.match(comfy.output(), '!!! Exception during processing !!! CUDA error')
  await end(comfy)
})

test('knobs: a stalled prompt stays in the queue while everything else answers, slowly', async () => {
  const comfy = await comfyUi({ SIMULATE_STALL_AFTER_MS: '0', SIMULATE_SLOW_MS: '150' })
  await comfy.waitFor(LISTENING)
  await fetch(`${comfy.url}/prompt`, { method: 'POST', body: JSON.stringify({ prompt: PICTURE }) })
  await sleep(200)
  const startMs = performance.now()
  assert.equal(await (await fetch(`${comfy.url}/prompt`)).json(), { exec_info: { queue_remaining: 1 } })
  assert.ok(performance.now() - startMs >= 149)
  await end(comfy)
})

test('knobs: a child of the same group outlives its parent', async () => {
  const comfy = await comfyUi({ SIMULATE_LEAVE_CHILD: '1' })
  await comfy.waitFor(LISTENING)
  const pid = Number(/background process \[(\d+)\]/.exec(comfy.output())?.[1])
  await end(comfy, 'SIGTERM')
  assert.ok(process.kill(pid, 0))
  process.kill(pid, 'SIGTERM')
  await sleep(100)
  assert.ok(process.kill(pid, 0), 'it does not mind a polite signal')
  process.kill(pid, 'SIGKILL')
})

test('a knob of the instance wins over one of the program, and that over the general one', () => {
  const env = {
    SIMULATE_INSTANCE: 'comfyui-gpu1',
    SIMULATE_STEP_MS: '1',
    SIMULATE_STEP_MS_COMFYUI: '2',
    SIMULATE_STEP_MS_COMFYUI_GPU1: '3',
    SIMULATE_SLOW_MS: '4',
    SIMULATE_SLOW_MS_REDIS_WORKER: '5',
  }
  assert.is(readKnobs('comfyui', env).stepMs, 3)
  assert.is(readKnobs('comfyui', { ...env, SIMULATE_INSTANCE: 'comfyui-gpu0' }).stepMs, 2)
  assert.is(readKnobs('ollama', {}).stepMs, 20)
  assert.is(readKnobs('redis-worker', env).slowMs, 5)
  assert.throws(() => readKnobs('comfyui', { SIMULATE_STEP_MS: 'soon' }), /cannot read SIMULATE_STEP_MS: "soon"/)
})

test.after(endAll)
test.run()
