import type { PlannedModel, PlannedProvisioning } from '../../schema/plan.ts'
import { planWorkerPackage } from '../services/redis-worker.ts'
import type { PlanContext } from '../services/service-type.ts'
import { planCustomNodes, planGit, planWorkflows } from './git-sources.ts'
import { planModels } from './models.ts'
import { durationMs, sizeBytes } from './quantities.ts'

/** Credentials that the kinds of source take from the environment of the machine, as the original machines had them. */
const CREDENTIALS: readonly {
  readonly for: (model: PlannedModel) => boolean
  readonly variables: readonly string[]
}[] = [
  { for: ({ source }) => source.kind === 'huggingface', variables: ['HF_TOKEN'] },
  { for: ({ source }) => source.kind === 'civitai' || isAt(source, 'civitai.com'), variables: ['CIVITAI_TOKEN'] },
  {
    for: ({ source }) => source.kind === 'bucket' && source.provider === 's3',
    variables: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SECRET_ACCESS_KEY_ENCODED', 'AWS_SESSION_TOKEN'],
  },
  {
    for: ({ source }) => source.kind === 'bucket' && source.provider === 'az',
    variables: ['AZURE_STORAGE_ACCOUNT', 'AZURE_STORAGE_KEY'],
  },
]

function isAt(source: PlannedModel['source'], domain: string): boolean {
  if (source.kind !== 'http') return false
  const { hostname } = new URL(source.url)
  return hostname === domain || hostname.endsWith(`.${domain}`)
}

/** What the tasks of the machine do. */
export function planProvisioning(context: PlanContext): PlannedProvisioning {
  const { settings } = context
  const { parallelFiles, segments, bandwidthLimit, retries } = settings.provisioning
  const models = planModels(context)
  const customNodes = planCustomNodes(context)
  const workflows = planWorkflows(context)
  return {
    ollamaModels: settings.services.ollama?.enabled ? settings.services.ollama.models : [],
    workerPackage: planWorkerPackage(context),
    verification: settings.provisioning.verify.enabled
      ? { timeoutMs: durationMs(settings.provisioning.verify.timeout) }
      : null,
    models,
    downloads: {
      parallelFiles,
      segments,
      bandwidthBytesPerSecond: bandwidthLimit === undefined ? null : sizeBytes(bandwidthLimit),
      retries,
    },
    credentials: planCredentials(context, models),
    customNodes,
    workflows,
    git: customNodes === null && workflows === null ? null : planGit(context),
  }
}

/** Secrets like any other: resolved at boot, `<NAME>_FILE` honoured, never in the plan. */
function planCredentials(context: PlanContext, models: readonly PlannedModel[]): Record<string, string> {
  const variables = CREDENTIALS.filter((credentials) => models.some(credentials.for)).flatMap((one) => one.variables)
  return Object.fromEntries(
    variables.sort().flatMap((variable) => {
      const secret = context.secret('/models', `provisioning.${variable}`, `\${${variable}:-}`)
      return secret === null ? [] : [[variable, secret]]
    }),
  )
}
