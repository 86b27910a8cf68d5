import type { ProvisionTask } from './framework/task.ts'
import type { TaskOrder } from './framework/task-order.ts'

/** Every task by its name, which is the name of its service as well. Loaded when it runs: setup needs none of them. */
export const TASKS: Readonly<Record<string, (order: TaskOrder) => Promise<ProvisionTask>>> = {
  models: async () => (await import('./models/models-task.ts')).modelsTask('before-start'),
  'models-background': async () => (await import('./models/models-task.ts')).modelsTask('background'),
  'custom-nodes': async () => (await import('./custom-nodes/custom-nodes-task.ts')).customNodesTask(),
  workflows: async () => (await import('./workflows/workflows-task.ts')).workflowsTask,
  'workflows-sync': async () => (await import('./workflows/workflows-task.ts')).workflowsSyncTask,
  'ssh-access': async () => (await import('./ssh/ssh-access-task.ts')).sshAccessTask,
  verify: async () => (await import('./verify/verify-task.ts')).verifyTask,
  'ollama-models': async () => (await import('./ollama-models/ollama-models-task.ts')).ollamaModelsTask,
  'worker-package': async (order) => (await import('./worker-package/worker-package-task.ts')).workerPackageTask(order),
}
