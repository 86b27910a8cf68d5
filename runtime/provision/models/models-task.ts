import type { ProvisionTask } from '../framework/task.ts'

/** The models of one moment: those that services wait for, or those that arrive while they run. */
export function modelsTask(when: 'before-start' | 'background'): ProvisionTask {
  return {
    preview: async () => [],
    run: async ({ report }) => {
      report.phase(when)
      return { failures: [], warnings: [] }
    },
  }
}
