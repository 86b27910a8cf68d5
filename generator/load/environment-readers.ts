import type { Reader, Reading } from './environment-row.ts'
import type { JsonValue } from './origin.ts'
import { splitWords } from './shell-words.ts'

const said = (value: JsonValue): Reading => ({ value })

/** A reader that takes a text, or refuses it by giving `undefined`. */
export function reader(accepts: string, read: (text: string) => JsonValue | undefined): Reader {
  return {
    accepts,
    read: (text) => {
      const value = read(text)
      return value === undefined ? { problems: [`it must be ${accepts}`] } : { value }
    },
  }
}

export function integer(minimum: number, maximum: number): Reader {
  return reader(`a whole number from ${minimum} to ${maximum}`, (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN
    return value >= minimum && value <= maximum ? value : undefined
  })
}

export const port = integer(1, 65_535)

/** Seconds without a unit, as the original machines wrote them, for a field that takes a duration. */
export function seconds(minimum: number, maximum: number): Reader {
  const accepts = `a whole number of seconds from ${minimum} to ${maximum}`
  return reader(accepts, (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN
    return value >= minimum && value <= maximum ? `${value}s` : undefined
  })
}

/** A number of GPUs, or `auto`. */
export const gpuCount: Reader = reader('a whole number from 0 to 64, or "auto"', (text) => {
  if (text.toLowerCase() === 'auto') return 'auto'
  return /^[0-9]{1,9}$/.test(text) && Number(text) <= 64 ? Number(text) : undefined
})

/** The schema has the same bounds for `machine.gpu.memoryGB`. */
export const gigabytes: Reader = reader('a number of GB above 0 and up to 4096', (text) => {
  const value = /^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(text) ? Number(text) : Number.NaN
  return value > 0 && value <= 4096 ? value : undefined
})

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  1: true,
  yes: true,
  on: true,
  false: false,
  0: false,
  no: false,
  off: false,
}

/** One meaning for every switch, where the originals had one a file. */
export const boolean: Reader = reader('"true", "1", "yes" or "on", or "false", "0", "no" or "off"', (text) => {
  const word = text.toLowerCase()
  return Object.hasOwn(BOOLEANS, word) ? BOOLEANS[word] : undefined
})

/** A switch that turns something off. */
export const opposite: Reader = {
  accepts: boolean.accepts,
  read: (value, environment) => {
    const said = boolean.read(value, environment)
    return said !== null && 'value' in said ? { ...said, value: !said.value } : said
  },
}

export const text: Reader = reader('a text', (value) => value)

export const machineId: Reader = reader(
  'at most 63 lower-case letters, digits and "-", with a letter or digit at both ends',
  (id) => (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(id) ? id : undefined),
)

/** `mock` or `actual`: whether there is no GPU. */
export const gpuMode: Reader = reader('"mock" or "actual"', (mode) => {
  const word = mode.toLowerCase()
  return word === 'mock' || word === 'actual' ? word === 'mock' : undefined
})

/** Words of a command line, quotes honoured, nothing evaluated. */
export const argumentList: Reader = {
  accepts: 'arguments as a shell splits them: quotes and backslashes count, nothing is evaluated',
  read: (line) => {
    const split = splitWords(line)
    return 'words' in split ? said([...split.words]) : { problems: [split.problem] }
  },
}

/** Items with commas between them, each once. */
export function csv(accepts: string, isItem: (item: string) => boolean): Reader {
  return reader(accepts, (list) => {
    const items = list.split(',').map((item) => item.trim())
    const named = items.filter((item) => item !== '')
    return named.length > 0 && named.every(isItem) ? [...new Set(named)] : undefined
  })
}

const isConnector = (name: string): boolean => /^[a-z0-9][a-z0-9_-]*$/.test(name)

export const connectors = csv(
  'names of connectors with commas between them (a-z, 0-9, "_" and "-"; a count goes to WORKERS)',
  isConnector,
)

const isModel = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/.test(name)

export const models = csv('names of models with commas between them, as "ollama pull" takes them', isModel)

export const model: Reader = reader('the name of a model, as "ollama pull" takes it', (name) =>
  isModel(name) ? [name] : undefined,
)

/** `OLLAMA_MODELS` is a list of models to the originals, and Ollama's own variable for its directory. */
const isPath = (value: string): boolean => value.startsWith('/')

export const modelsUnlessPath: Reader = {
  ...models,
  read: (value, environment) => (isPath(value) ? null : models.read(value, environment)),
}

export const modelDirectory: Reader = {
  accepts: 'an absolute path',
  read: (path) => (isPath(path) ? said(path) : null),
}

export const absolutePath: Reader = reader('an absolute path without ".."', (path) =>
  isPath(path) && hasNoParent(path) ? path : undefined,
)

export const path: Reader = reader('a path without ".."', (value) => (hasNoParent(value) ? value : undefined))

const hasNoParent = (value: string): boolean => !value.split('/').includes('..')

/** `local` is the bundle that the October machines brought along; `remote` is what a machine does anyway. */
export const bundleMode: Reader = {
  accepts: '"local" or "remote"',
  read: (mode) => {
    const word = mode.toLowerCase()
    if (word === 'remote') return null
    return word === 'local' ? said('/service-manager/worker-bundled') : { problems: ['it must be "local" or "remote"'] }
  },
}

/** The form that the schema gives to `services.redisWorker.downloadUrl`. */
export const httpUrl: Reader = reader('a URL that begins with http:// or https://', (url) =>
  /^https?:\/\/[^\s"'`$\\{}<>|^]+$/.test(url) ? url : undefined,
)

const ADDRESS = String.raw`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.]+\]|localhost`
const OLLAMA_HOST = new RegExp(`^(?:https?://)?(${ADDRESS})(?::([0-9]{1,5}))?/?$`)

interface OllamaHost {
  readonly address: string
  readonly port: number | null
}

function parseOllamaHost(value: string): OllamaHost | undefined {
  // An IPv6 address without brackets has no room for a port.
  if (/^[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*$/.test(value)) return { address: value, port: null }
  const match = OLLAMA_HOST.exec(value)
  if (match?.[1] === undefined) return undefined
  if (match[2] === undefined) return { address: match[1], port: null }
  const number = Number(match[2])
  return number >= 1 && number <= 65_535 ? { address: match[1], port: number } : undefined
}

/** Ollama's own variable: an address, with a scheme before it and a port behind it if need be. */
export const ollamaAddress: Reader = reader(
  'the address that Ollama binds: "127.0.0.1", "0.0.0.0:11434" or "http://0.0.0.0:11434"',
  (value) => parseOllamaHost(value)?.address,
)

/** The port in it, if it has one. */
export const ollamaPort: Reader = {
  ...ollamaAddress,
  read: (value) => {
    const number = parseOllamaHost(value)?.port ?? null
    return number === null ? null : said(number)
  },
}
