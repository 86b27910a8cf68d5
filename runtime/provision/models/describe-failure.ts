import type { PlannedModel } from '../../../schema/plan.ts'
import { asDownloadError } from '../download/download-error.ts'
import { variableFor } from './credentials.ts'
import type { OpenedSource } from './model-source.ts'

/** What a model is called in messages: its entry, and the file as people know it. */
export function nameOf({ folder, file, url }: PlannedModel): string {
  return file === null ? url : `${folder}/${file}`
}

/** Why a model cannot be had, with what to do about it where that is known. No token is ever in it. */
export function describeFailure(model: PlannedModel, opened: OpenedSource | null, thrown: unknown): string {
  const error = asDownloadError(thrown)
  const said = `cannot download ${model.entry} (${nameOf(model)}): ${error.message}`
  if (error.status === 401 || error.status === 403) return `${said}: ${credentialHint(model, opened)}`
  if (error.status === 404) return `${said}: nothing is there; look at its url${hubHint(opened)}`
  // What a hub shows to those who should log in.
  if (error.message.includes('a web page')) return `${said}${hubHint(opened)}`
  return said
}

function credentialHint(model: PlannedModel, opened: OpenedSource | null): string {
  if (model.source.kind === 'bucket') return BUCKET_HINTS[model.source.provider]
  const url = opened?.url ?? null
  const sent = opened?.credentials.find(({ mayGoTo }) => url !== null && mayGoTo(url))
  if (sent !== undefined) return `${sent.name} does not open it${licenceHint(model)}`
  const variable = url === null ? null : variableFor(url.hostname)
  if (variable !== null) return `set ${variable} in the environment of the machine${licenceHint(model)}`
  const host = url?.host ?? 'its host'
  return `give ${model.entry} a token for ${host}: token: "\${MY_MODELS_TOKEN}"`
}

const BUCKET_HINTS = {
  s3: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of the machine',
  gs: 'set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account',
  az: 'set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY in the environment of the machine',
} as const

function licenceHint({ source }: PlannedModel): string {
  if (source.kind !== 'huggingface') return ''
  return `; a gated model needs its terms accepted at https://huggingface.co/${source.repository}`
}

/** Hubs answer 404 to those who may not know that there is something. */
function hubHint(opened: OpenedSource | null): string {
  const variable = opened?.url == null ? null : variableFor(opened.url.hostname)
  return variable === null ? '' : `, and set ${variable} if it is private`
}
