/** Names of models, `[host/][namespace/]model[:tag]`, by the rules of Ollama's types/model/name.go. */

export interface ModelName {
  readonly host: string
  readonly namespace: string
  readonly model: string
  readonly tag: string
  /** The shortest form that means the same, with the tag: `llama3:latest`. */
  readonly shown: string
}

const PART = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/
const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/
const DEFAULT_HOST = 'registry.ollama.ai'
const DEFAULT_NAMESPACE = 'library'

/** A name with its defaults, or nothing if it is not one. */
export function parseModelName(text: unknown): ModelName | undefined {
  if (typeof text !== 'string') return undefined
  const path = text.replace(/^https?:\/\//, '').split('/')
  const [model = '', tag = 'latest', more] = (path.pop() ?? '').split(':')
  const namespace = path.pop() ?? DEFAULT_NAMESPACE
  const host = path.pop() ?? DEFAULT_HOST
  const isValid = PART.test(model) && PART.test(tag) && PART.test(namespace) && HOST.test(host)
  if (!isValid || more !== undefined || path.length > 0) return undefined
  const prefix =
    host !== DEFAULT_HOST ? `${host}/${namespace}/` : namespace !== DEFAULT_NAMESPACE ? `${namespace}/` : ''
  return { host, namespace, model, tag, shown: `${prefix}${model}:${tag}` }
}
