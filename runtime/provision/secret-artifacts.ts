import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Plan, PlannedProxy, PlannedService } from '../../schema/plan.ts'
import { type FileOwner, writeFileAtomically } from '../shared/atomic-file.ts'
import { findUser, isRoot } from './account.ts'
import { formatDotenv } from './dotenv.ts'
import { type CredentialText, formatBearerMap, formatHtpasswd } from './proxy-credentials.ts'

type Values = ReadonlyMap<string, string>

const PRIVATE_FILE = 0o600
const PRIVATE_DIRECTORY = 0o700

/** `<run>/secrets/<name>`: the values themselves, for programs of the machine. */
export function writeSecretValues({ paths }: Pick<Plan, 'paths'>, values: Values): string[] {
  return replaceDirectory(`${paths.run}/secrets`, values)
}

/** `<run>/env/<service>/<VARIABLE>`: what s6-envdir reads. It takes an empty file for a variable to remove. */
export function writeSecretEnvironments(
  { paths, services }: Pick<Plan, 'paths' | 'services'>,
  values: Values,
): string[] {
  return services.flatMap(({ name, secretEnvironment }) => {
    const variables = Object.entries(secretEnvironment)
    if (variables.length === 0) return []
    const files = variables.flatMap(([variable, secret]): [string, string][] => {
      const value = values.get(secret) ?? ''
      return value === '' ? [] : [[variable, `${value}\n`]]
    })
    return replaceDirectory(`${paths.run}/env/${name}`, new Map(files))
  })
}

/** Makes the files of a private directory exactly these. */
function replaceDirectory(directory: string, files: ReadonlyMap<string, string>): string[] {
  return attempt(`write the secrets in "${directory}"`, () => {
    mkdirSync(directory, { recursive: true, mode: PRIVATE_DIRECTORY })
    for (const [name, content] of files) writeFileAtomically(`${directory}/${name}`, content, PRIVATE_FILE)
    for (const name of readdirSync(directory)) {
      if (!files.has(name)) rmSync(`${directory}/${name}`, { force: true })
    }
  })
}

/** The planned `.env` files. They belong to whoever owns their directory: the program there reads them. */
export function writeSecretFiles(
  { secretFiles, services }: Pick<Plan, 'secretFiles' | 'services'>,
  values: Values,
): string[] {
  return secretFiles.flatMap(({ path, service: name }) => {
    const service = services.find((candidate) => candidate.name === name)
    return service === undefined
      ? [`cannot write "${path}": the plan has no service "${name}"`]
      : writeSecretFile(path, service, values)
  })
}

function writeSecretFile(path: string, service: PlannedService, values: Values): string[] {
  const entries = [
    ...Object.entries(service.environment),
    ...Object.entries(service.secretEnvironment).map(([key, secret]) => [key, values.get(secret) ?? ''] as const),
  ]
  const file = formatDotenv(entries.map(([key, value]) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1)))
  if ('refusals' in file) return file.refusals.map((refusal) => `${refusal} (in "${path}")`)
  return attempt(`write "${path}"`, () => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileAtomically(path, file.text, PRIVATE_FILE, ownerOf(dirname(path)))
  })
}

function ownerOf(directory: string): FileOwner | undefined {
  return isRoot() ? statSync(directory) : undefined
}

/**
 * What nginx checks credentials against. Both files exist where a proxy is planned, empty without a credential: then
 * nobody gets in. The workers read the password file at each request, so their group may; others may not.
 */
export function writeProxyCredentials(proxy: PlannedProxy | null, values: Values): string[] {
  if (proxy === null) return []
  const { auth, credentialFiles } = proxy
  const valueFor = (secret: string | null) => (secret === null ? '' : (values.get(secret) ?? ''))
  const password = formatHtpasswd(auth.user, valueFor(auth.passwordSecret))
  const token = formatBearerMap(valueFor(auth.tokenSecret))
  return [
    ...writeCredentialFile(proxy, 'password', credentialFiles.htpasswd, password),
    ...writeCredentialFile(proxy, 'token', credentialFiles.bearerMap, token),
  ]
}

function writeCredentialFile(proxy: PlannedProxy, what: string, path: string, content: CredentialText): string[] {
  if ('refusal' in content) return [`cannot use the ${what} of the proxy: ${content.refusal}`]
  return attempt(`write "${path}"`, () => {
    mkdirSync(dirname(path), { recursive: true })
    const owner = credentialOwner(proxy)
    writeFileAtomically(path, content.text, owner === undefined ? PRIVATE_FILE : 0o640, owner)
  })
}

/** Root's nginx switches its workers to another user; anybody else's cannot. */
function credentialOwner({ workerUser }: PlannedProxy): FileOwner | undefined {
  if (!isRoot()) return undefined
  const worker = findUser(workerUser)
  if (worker === null) throw new Error(`there is no user "${workerUser}" on this system`)
  return { uid: 0, gid: worker.gid }
}

function attempt(task: string, perform: () => void): string[] {
  try {
    perform()
    return []
  } catch (error) {
    return [`cannot ${task}: ${(error as Error).message}`]
  }
}
