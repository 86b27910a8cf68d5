/** A task of 600 ms as a process of its own: `provision-task.fixture.ts ROOT`. It notes each time that it really works. */
import { appendFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from '../../runtime/provision/framework/run-command.ts'
import { runTask } from '../../runtime/provision/framework/run-task.ts'
import { openTaskState } from '../../runtime/provision/framework/task-state.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'

const root = process.argv[2]!
const plan = planFixture({ root })
const isTrue = (value: unknown): value is true => value === true

const request = { task: 'slow', plan, environment: {}, dryRun: false, json: true, stdout: process.stdout }
process.exitCode = await runTask(request, {
  preview: async () => ['would be slow'],
  run: async ({ report }) => {
    const state = openTaskState(plan.paths, 'slow', isTrue)
    report.expect({ items: 1 })
    if (state.get('it') === true) {
      report.settle('it', 'skipped')
    } else {
      report.phase('working')
      appendFileSync(`${root}/work`, `${process.pid}\n`)
      if (process.argv[3] === 'child') await runCommand(['sleep', '1000'])
      await delay(600)
      state.set('it', true)
      report.settle('it', 'ok')
    }
    return { failures: [], warnings: [] }
  },
})
