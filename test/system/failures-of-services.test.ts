/**
 * Services that fail, for real and under real supervisors: each time the state that the sidecar shows, what it does, and the
 * events that it tells. Hangs inside of work and CUDA faults have their tests in runtime/sidecar-deep-health, vanished
 * supervise directories in runtime/sidecar-healing.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bundleProgram, until } from '../runtime/local-tree.ts'
import { type Draft, portOf, untilState } from '../runtime/supervised-machine.ts'
import { imagePrompt, post } from '../runtime/workload-machine.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { budget, eventsOf, poke, storyOf, untilOtherRun, untilStory, web, withMachine } from './failing-machine.ts'

const simulate = bundleProgram('runtime/simulate/main.ts', `${temporaryDirectory()}/simulate.mjs`)

test('kill -9: it is down at once, runs again, and counts one restart', async () => {
  await withMachine([web('app')], async (tree) => {
    const { pid } = await untilState(tree, 'app', 'ready')
    process.kill(pid, 'SIGKILL')
    const after = await untilOtherRun(tree, 'app', pid)
    assert.is(after.restarts, 1)
    assert.equal([after.lastExit.text, after.lastExit.reason], ['signal SIGKILL', 'signal'])
    await untilStory(tree, 'app', ['started', 'ready', 'failed signal', 'restarted', 'ready'])
  })
})

test('a hang: patience for slow answers, then a restart for its liveness', async () => {
  await withMachine([web('app')], async (tree) => {
    const { pid } = await untilState(tree, 'app', 'ready')
    await Promise.race([poke(tree, 'app', '/hang'), pause(500)])
    const after = await untilOtherRun(tree, 'app', pid)
    assert.equal([after.restarts, after.lastExit.reason], [1, 'liveness'])
    await untilStory(tree, 'app', ['started', 'ready', 'unready', 'failed liveness', 'restarted', 'ready'])
  })
})

test('a process that is stopped (SIGSTOP) is as one that hangs, and is killed', async () => {
  await withMachine([web('app', { stop: { signal: 'SIGTERM', timeoutMs: 1000 } })], async (tree) => {
    const { pid } = await untilState(tree, 'app', 'ready')
    process.kill(pid, 'SIGSTOP')
    const after = await untilOtherRun(tree, 'app', pid)
    assert.equal([after.restarts, after.lastExit.reason], [1, 'liveness'])
  })
})

test('a slow start: starting for as long as it takes, never touched, ready in the end', async () => {
  await withMachine([web('app', { delayMs: 4000 })], async (tree) => {
    const { pid } = await untilState(tree, 'app', 'starting')
    assert.is((await tree.ask('/health')).status, 503)
    const ready = await untilState(tree, 'app', 'ready', 30_000)
    assert.equal([ready.pid, ready.restarts], [pid, 0])
    assert.ok(ready.startupMs >= 3500 && ready.startupMs < 15_000, `took ${ready.startupMs} ms`)
    await untilStory(tree, 'app', ['started', 'ready'])
    assert.is((await tree.ask('/health')).status, 200)
  })
})

test('wrong answers: a status that is no success, and JSON of another program', async () => {
  const impostor = web('impostor', { probe: { kind: 'http', path: '/', expect: 'comfyui' }, restart: budget(2) })
  await withMachine([web('app'), { ...impostor, startupTimeoutMs: 1500 }], async (tree) => {
    const { pid } = await untilState(tree, 'app', 'ready')
    await poke(tree, 'app', '/fail')
    assert.is((await untilState(tree, 'app', 'unready')).reason, 'GET /ok: status 503')
    assert.is((await untilOtherRun(tree, 'app', pid)).lastExit.reason, 'liveness')
    await untilStory(tree, 'app', ['started', 'ready', 'unready', 'failed liveness', 'restarted', 'ready'])
    const { reason } = await untilState(tree, 'impostor', 'failed', 30_000)
    assert.match(reason, /another program may have the port/)
  })
})

test('a crash loop: failed for good with the reason, and told as given up', async () => {
  const loop: Draft = { name: 'loop', command: ['sh', '-c', 'echo it cannot work >&2; exit 3'], restart: budget(3) }
  await withMachine([loop, web('app')], async (tree) => {
    const failed = await untilState(tree, 'loop', 'failed', 30_000)
    assert.is(failed.reason, 'it died 3 times within 60 s, the last time by exit code 3')
    assert.match(readFileSync(`${tree.plan.paths.logs}/loop/current`, 'utf8'), /it cannot work/)
    const { body } = await tree.ask('/health')
    assert.equal([body.healthy, body.services.app.healthy], [false, true])
    await until('it is told', 5000, async () => (await storyOf(tree, 'loop')).includes('gave-up'))
    const story = await storyOf(tree, 'loop')
    assert.is(story.filter((word) => word === 'failed error').length, 3, story.join(', '))
    assert.is(story.at(-1), 'gave-up')
    const gaveUp = (await eventsOf(tree)).find(({ type }) => type === 'service.gave-up')
    assert.is(gaveUp?.error?.message, failed.reason)
    await pause(1500)
    assert.is((await tree.ask('/services/loop')).body.state, 'failed', 'it stays so')
  })
})

test('out of memory: a job that finds none is no death; a death right after it has that reason', async () => {
  const workingDirectory = temporaryDirectory()
  mkdirSync(`${workingDirectory}/models`)
  const comfyui = web('comfyui-gpu0', {
    type: 'comfyui',
    command: ['sh', '-c', `exec ${process.execPath} ${simulate} comfyui --port $PORT`],
    workingDirectory,
    environment: { SIMULATE_OOM_EVERY: '1' },
    probe: { kind: 'http', path: '/system_stats', expect: 'comfyui' },
    liveness: { intervalMs: 500, timeoutMs: 4000, failures: 5 },
  })
  await withMachine([comfyui], async (tree) => {
    const { pid } = await untilState(tree, 'comfyui-gpu0', 'ready')
    await post(`http://127.0.0.1:${portOf(tree, 'comfyui-gpu0')}/prompt`, { prompt: imagePrompt(1) })
    const sick = await until('its lack of memory is seen', 15_000, async () => {
      const { body } = await tree.ask('/services/comfyui-gpu0')
      return body.workload?.outOfMemoryCount > 0 ? body : null
    })
    assert.equal([sick.state, sick.pid, sick.restarts], ['ready', pid, 0], 'it goes on')
    process.kill(pid, 'SIGKILL')
    assert.is((await untilOtherRun(tree, 'comfyui-gpu0', pid)).lastExit.reason, 'oom')
    await untilStory(tree, 'comfyui-gpu0', ['started', 'ready', 'failed oom', 'restarted', 'ready'])
  })
})

test.run()
