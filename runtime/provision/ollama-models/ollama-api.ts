import { request as httpRequest, type IncomingMessage } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { DownloadError } from '../download/download-error.ts'

/** The Ollama of this machine, as far as models come and go (ollama, docs/api.md). */
export interface OllamaApi {
  /** Names of the models that it has, as it shows them. */
  readonly tags: () => Promise<readonly string[]>
  /** Pulls a model and hears how far it is, to its success. Ollama continues what an earlier pull has left. */
  readonly pull: (model: string, onLine: (line: PullLine) => void) => Promise<void>
  /** Removes a model; one that it does not have is removed already. */
  readonly remove: (model: string) => Promise<void>
}

/** One line of the stream of a pull. */
export interface PullLine {
  readonly status?: string
  readonly error?: string
  readonly digest?: string
  readonly total?: number
  readonly completed?: number
}

const ANSWER_MS = 30_000

/** Ollama says something several times a second while it pulls, and gives up a part that stalls after 30 s itself. */
const SILENCE_MS = 120_000

/** A line of progress has some hundred bytes. */
const MAX_LINE = 1024 * 1024

export function createOllamaApi({ address, port }: { readonly address: string; readonly port: number }): OllamaApi {
  const ask = (method: string, path: string, body: object | null, silenceMs: number) =>
    request({ address, port, method, path, body, silenceMs })
  return {
    tags: async () => {
      const { models } = (await readJson(await ask('GET', '/api/tags', null, ANSWER_MS))) as { models?: unknown }
      if (!Array.isArray(models)) throw new DownloadError('transient', 'Ollama lists no models')
      return models.flatMap(({ name }: { name?: unknown }) => (typeof name === 'string' ? [name] : []))
    },
    pull: async (model, onLine) => {
      const response = await ask('POST', '/api/pull', { model, stream: true }, SILENCE_MS)
      let isDone = false
      for await (const line of readLines(response)) {
        if (line.error !== undefined) throw pullError(line.error)
        if (line.status === 'success') isDone = true
        onLine(line)
      }
      if (!isDone) throw new DownloadError('transient', 'Ollama hung up before it was done')
    },
    remove: async (model) => {
      try {
        await readJson(await ask('DELETE', '/api/delete', { model }, ANSWER_MS))
      } catch (error) {
        if ((error as DownloadError).status !== 404) throw error
      }
    },
  }
}

/** What Ollama says of models that no registry has, and of names that are none: another attempt says the same. */
const FINAL = /file does not exist|not found|invalid model|unauthorized|no space left|requires a newer version/i

function pullError(message: string): DownloadError {
  return new DownloadError(FINAL.test(message) ? 'refused' : 'transient', message)
}

interface Question {
  readonly address: string
  readonly port: number
  readonly method: string
  readonly path: string
  readonly body: object | null
  readonly silenceMs: number
}

/** An answer with a good status; its body is still to be read. */
function request({ address, port, method, path, body, silenceMs }: Question): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const content = body === null ? null : JSON.stringify(body)
    const length = content === null ? {} : { 'Content-Length': Buffer.byteLength(content) }
    const headers = { Host: `localhost:${port}`, Connection: 'close', ...length }
    const outgoing = httpRequest({ host: address, port, method, path, headers, agent: false })
    const fail = (why: string) => outgoing.destroy(new DownloadError('transient', why))
    outgoing.setTimeout(silenceMs, () => fail(`Ollama says nothing for ${silenceMs / 1000} s`))
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const status = response.statusCode ?? 0
      if (status >= 200 && status < 300) return resolve(response)
      readText(response).then((text) => reject(refusal(status, text)), reject)
    })
    outgoing.end(content)
  })
}

function refusal(status: number, text: string): DownloadError {
  const message = parse(text)?.error ?? `Ollama answers ${status}`
  const isFinal = status < 500 || FINAL.test(message)
  return new DownloadError(isFinal ? 'refused' : 'transient', message, null, status)
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const bytes of response.setEncoding('utf8')) {
    text += bytes as string
    if (text.length > MAX_LINE) throw new DownloadError('refused', 'Ollama answers with too much')
  }
  return text
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  return parse(await readText(response)) ?? {}
}

async function* readLines(response: IncomingMessage): AsyncGenerator<PullLine> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const bytes of response) {
    rest += decoder.write(bytes as Buffer)
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE) throw new DownloadError('transient', 'Ollama sends no lines')
    for (const line of lines) if (line.trim() !== '') yield parse(line) ?? {}
  }
  if (rest.trim() !== '') yield parse(rest) ?? {}
}

function parse(text: string): PullLine | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    return null
  }
}
