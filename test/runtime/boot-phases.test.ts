import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bootPhases, PHASE_NAMES, type PhaseSubject } from '../../runtime/shared/boot-phases.ts'
import { STATES, type StateName } from '../../runtime/shared/service-state.ts'
import type { ServiceType } from '../../schema/plan.ts'

function subject(name: string, type: ServiceType, state: StateName, over: Partial<PhaseSubject> = {}): PhaseSubject {
  const kind = type === 'provision' ? 'task' : 'longrun'
  return { service: { name, type, kind }, state, reason: null, launchedAtMs: null, readyAtMs: null, ...over }
}

const phaseOf = (subjects: readonly PhaseSubject[], name: string) =>
  bootPhases(subjects).find((phase) => phase.name === name)!

test('a machine has at least the steps of the first machines, the same on every machine', () => {
  assert.ok(PHASE_NAMES.length >= 14)
  const phases = bootPhases([])
  assert.equal(
    phases.map(({ name }) => name),
    PHASE_NAMES,
  )
  assert.ok(phases.every(({ state, total }) => state === 'absent' && total === 0))
})

test('a phase begins with its first service, ends with its last, and took the time between', () => {
  const subjects = [
    subject('comfyui-gpu0', 'comfyui', 'ready', { launchedAtMs: 1000, readyAtMs: 5000 }),
    subject('comfyui-gpu1', 'comfyui', 'starting', { launchedAtMs: 2000, reason: 'nothing answers' }),
  ]
  const running = phaseOf(subjects, 'comfyui')
  assert.is(running.state, 'running')
  assert.is(running.done, 1)
  assert.is(running.tookMs, null)
  assert.is(running.reason, 'nothing answers')
  const started = phaseOf(subjects, 'comfyui-start')
  assert.is(started.state, 'done')
  assert.is(started.tookMs, 1000)
  const done = [subjects[0]!, subject('comfyui-gpu1', 'comfyui', 'ready', { launchedAtMs: 2000, readyAtMs: 9000 })]
  assert.is(phaseOf(done, 'comfyui').tookMs, 8000)
})

test('tasks are phases by their names, failures are told apart from waits', () => {
  const models = subject('models', 'provision', 'done', { launchedAtMs: 10, readyAtMs: 1010 })
  assert.is(phaseOf([models], 'models').tookMs, 1000)
  const failed = subject('custom-nodes', 'provision', 'failed', { reason: 'it died 50 times' })
  assert.is(phaseOf([failed], 'custom-nodes').state, 'failed')
  assert.is(phaseOf([failed], 'custom-nodes').reason, 'it died 50 times')
  const waiting = subject('redis-worker-gpu0', 'redis-worker', 'waiting', { reason: 'waits for worker-package' })
  assert.is(phaseOf([waiting], 'workers').state, 'waiting')
  assert.is(phaseOf([waiting], 'setup').state, 'done')
  const [, setup] = bootPhases([subject('nginx', 'nginx', 'ready', { launchedAtMs: 1500, readyAtMs: 1600 })], 1000)
  assert.is(setup?.tookMs, 500)
  assert.is(phaseOf([subject('nginx', 'nginx', 'down')], 'setup').state, 'waiting')
  const impostor = subject('models', 'custom', 'ready')
  assert.is(phaseOf([impostor], 'models').state, 'absent')
})

test('whatever the states are, counts add up and only what is done has an end', () => {
  const types: ServiceType[] = ['sidecar', 'nginx', 'comfyui', 'ollama', 'redis-worker', 'custom', 'sshd']
  const time = fc.option(fc.integer({ min: 0, max: 1e12 }), { nil: null })
  const any = fc.record({
    type: fc.constantFrom(...types),
    state: fc.constantFrom(...STATES),
    launchedAtMs: time,
    readyAtMs: time,
  })
  fc.assert(
    fc.property(fc.array(any), (facts) => {
      const subjects = facts.map(({ type, state, ...times }, index) => subject(`s${index}`, type, state, times))
      for (const phase of bootPhases(subjects)) {
        assert.ok(phase.done <= phase.total)
        assert.is(phase.state === 'absent', phase.total === 0)
        if (phase.state === 'done') assert.is(phase.done, phase.total)
        else assert.is(phase.endedAtMs, null)
        assert.ok(phase.tookMs === null || phase.tookMs >= 0)
      }
    }),
  )
})

test.run()
