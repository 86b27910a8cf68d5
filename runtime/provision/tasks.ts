import type { ProvisionTask } from './framework/task.ts'

/** Every task by its name, which is the name of its service as well. Loaded when it runs: setup needs none of them. */
export const TASKS: Readonly<Record<string, () => Promise<ProvisionTask>>> = {
  models: async () => (await import('./models/models-task.ts')).modelsTask('before-start'),
  'models-background': async () => (await import('./models/models-task.ts')).modelsTask('background'),
}
