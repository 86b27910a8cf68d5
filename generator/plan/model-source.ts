import type { ModelSource } from '../../schema/plan.ts'

/** Where a model comes from, or why its URL cannot be used. */
export type SourceReading =
  | { readonly source: ModelSource; readonly file: string | null }
  | { readonly problem: string; readonly hint?: string; readonly code?: 'UNSAFE_VALUE' }

/** Query parameters that are credentials by themselves. */
const CREDENTIAL_PARAMETER =
  /^(token|api[-_]?key|access[-_]?token|auth|sig|signature|x-(amz|goog)-(signature|credential|security-token))$/i

/** Reads the URL of a model; `file` is what the source calls it, `null` where only an answer will tell. */
export function readModelUrl(text: string): SourceReading {
  const scheme = text.slice(0, text.indexOf(':'))
  const rest = text.slice(scheme.length + 3)
  if (scheme === 'hf') return readHuggingFace(rest)
  if (scheme === 'civitai') return readCivitai(rest)
  if (scheme === 's3' || scheme === 'gs' || scheme === 'az') return readBucket(scheme, rest)
  if (!URL.canParse(text)) return { problem: 'it is no URL' }
  return readHttp(new URL(text))
}

/** `org/repository/path[@revision]`, also below `datasets/` and `spaces/`. */
function readHuggingFace(rest: string): SourceReading {
  const at = rest.lastIndexOf('@')
  const [name, revision] = at === -1 ? [rest, 'main'] : [rest.slice(0, at), rest.slice(at + 1)]
  const parts = name.split('/')
  const length = parts[0] === 'datasets' || parts[0] === 'spaces' ? 3 : 2
  const path = parts.slice(length).join('/')
  if (parts.length <= length || parts.includes('') || parts.includes('..') || revision === '') {
    return { problem: 'it is not ORG/REPOSITORY/PATH', hint: 'hf://ORG/REPOSITORY/PATH, or with @REVISION at its end' }
  }
  return huggingFace(parts.slice(0, length).join('/'), path, revision)
}

function huggingFace(repository: string, path: string, revision: string): SourceReading {
  return { source: { kind: 'huggingface', repository, path, revision }, file: baseName(path) }
}

function readCivitai(rest: string): SourceReading {
  if (/^[1-9]\d*$/.test(rest)) return { source: { kind: 'civitai', versionId: rest }, file: null }
  return {
    problem: 'it has no model version id',
    hint: 'civitai://128713: the number behind modelVersionId= in the address of its page',
  }
}

function readBucket(provider: 's3' | 'gs' | 'az', rest: string): SourceReading {
  const [bucket = '', ...parts] = rest.split('/')
  if (
    !/^[A-Za-z0-9$][A-Za-z0-9._-]*$/.test(bucket) ||
    parts.length === 0 ||
    parts.some((part) => /^\.{0,2}$/.test(part))
  ) {
    return { problem: 'it does not name a bucket and a file in it', hint: `${provider}://BUCKET/PATH` }
  }
  const path = parts.join('/')
  return { source: { kind: 'bucket', provider, bucket, path }, file: baseName(path) }
}

function readHttp(url: URL): SourceReading {
  if (url.username !== '' || url.password !== '') return credential('a user or a password stands in it')
  const secret = [...url.searchParams.keys()].find((name) => CREDENTIAL_PARAMETER.test(name))
  if (secret !== undefined) return credential(`the parameter "${secret}" is a credential`)
  url.hash = ''
  if (/(^|\.)civitai\.com$/.test(url.hostname)) return readCivitaiPage(url)
  if (url.hostname === 'huggingface.co' || url.hostname === 'hf.co') return readHuggingFacePage(url)
  return { source: { kind: 'http', url: url.href }, file: fileOf(url) }
}

function credential(problem: string): SourceReading {
  return { problem, code: 'UNSAFE_VALUE', hint: 'everybody may read the plan; set token: "${MY_MODELS_TOKEN}"' }
}

/** What people copy from the browser is the page; its download is another address. */
function readCivitaiPage(url: URL): SourceReading {
  if (url.pathname.startsWith('/api/download/')) return { source: { kind: 'http', url: url.href }, file: null }
  const versionId = url.searchParams.get('modelVersionId')
  if (versionId !== null && /^[1-9]\d*$/.test(versionId)) return { source: { kind: 'civitai', versionId }, file: null }
  return {
    problem: 'it is a page, and not of one version',
    hint: 'choose a version there, and use the address with modelVersionId=, or civitai://MODEL_VERSION_ID',
  }
}

function readHuggingFacePage(url: URL): SourceReading {
  const page = /^\/((?:(?:datasets|spaces)\/)?[^/]+\/[^/]+)\/(?:resolve|blob|raw)\/([^/]+)\/(.+)$/.exec(url.pathname)
  if (page === null) {
    return {
      problem: 'it is a page, not a file',
      hint: 'open the file there and copy its address, or write hf://ORG/REPOSITORY/PATH',
    }
  }
  const [, repository = '', revision = '', path = ''] = page
  const decoded = decode(path)
  return decoded === null || decoded.split('/').includes('..')
    ? { problem: 'its path cannot be read' }
    : huggingFace(repository, decoded, decode(revision) ?? revision)
}

/** The last part of the path, where it looks like the name of a file. */
function fileOf(url: URL): string | null {
  const name = decode(baseName(url.pathname))
  return name !== null && isFileName(name) && /\.[A-Za-z0-9]{1,16}$/.test(name) ? name : null
}

/** Whether a name can be that of a file in a model folder: no path, nothing hidden, nothing that a terminal obeys. */
export function isFileName(name: string): boolean {
  return name.length <= 200 && /^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u.test(name)
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
