import type { PlannedModel } from '../../../schema/plan.ts'
import { formatBytes } from '../framework/format-progress.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { isInPlace } from './assess-model.ts'
import { nameOf } from './describe-failure.ts'
import { openModelState } from './model-record.ts'
import type { ModelResult } from './model-run.ts'
import { provisionModels } from './provision-models.ts'

/** The models of one moment: those that services wait for, or those that arrive while they run. */
export function modelsTask(when: PlannedModel['when']): ProvisionTask {
  const select = ({ plan }: TaskContext) => plan.provisioning.models.filter((model) => model.when === when)
  return {
    preview: async (context) => {
      const state = openModelState(context.plan.paths, when)
      return select(context).map((model) => {
        const target = isInPlace(model, state)
        if (target !== null) return `keep "${target}"`
        const size = model.sizeBytes === null ? '' : `, ${formatBytes(model.sizeBytes)}`
        return `fetch ${model.url} to "${model.directory}/${model.file ?? '(as its source calls it)'}"${size}`
      })
    },
    run: async (context) => {
      const models = select(context)
      const results = await provisionModels(models, when, context)
      return outcomeOf(models, results)
    },
  }
}

function outcomeOf(models: readonly PlannedModel[], results: readonly ModelResult[]): TaskOutcome {
  const failed = results.filter((result) => result.problem !== null)
  const lines = (isOptional: boolean) =>
    failed.filter(({ model }) => model.optional === isOptional).map(({ problem }) => problem as string)
  const fetched = results.filter(({ status }) => status === 'ok' || status === 'changed')
  return {
    failures: lines(false),
    warnings: [...lines(true), ...results.flatMap(({ notice }) => notice ?? [])],
    facts: {
      models: models.length,
      fetched: fetched.length,
      failed: failed.length,
      names: fetched.map(({ model }) => nameOf(model)).join(', '),
    },
  }
}
