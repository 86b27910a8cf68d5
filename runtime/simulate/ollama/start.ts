/** Starts the stand-in for `ollama serve`, configured by OLLAMA_* as the real one (envconfig/config.go). */
import { homedir } from 'node:os'
import { join } from 'node:path'
import {
  answerBy,
  answerJson,
  answerText,
  createQuietServer,
  type Exchange,
  listen,
  type Manners,
  Refusal,
} from '../http-answers.ts'
import type { Knobs } from '../knobs.ts'
import { beforeListening, onceListening } from '../misbehaviour.ts'
import { isAllowedHost } from './host-check.ts'
import { openPuller } from './pull.ts'
import { OLLAMA_VERSION, ollamaRoutes } from './routes.ts'
import { openRunner } from './runner.ts'
import { openStore } from './store.ts'

const DEFAULT_PORT = 11434

const log = (line: string) => {
  const time = new Date().toISOString()
  process.stderr.write(`time=${time} level=INFO source=routes.go:1 msg=${JSON.stringify(line)}\n`)
}

/** Runs until SIGINT or SIGTERM, both of which end it with 0; a busy port ends it with 1. */
export async function startOllama(words: readonly string[], knobs: Knobs): Promise<void> {
  if (words.includes('--version') || words.includes('-v')) {
    process.stdout.write(`ollama version is ${OLLAMA_VERSION}\n`)
    process.exit(0)
  }
  if (words.length !== 1 || words[0] !== 'serve') refuseCommand(words)
  const { host, port } = readHost(process.env.OLLAMA_HOST)
  await beforeListening(knobs, log)
  const store = openStore(process.env.OLLAMA_MODELS || join(homedir(), '.ollama', 'models'))
  if (!isSet(process.env.OLLAMA_NOPRUNE)) store.prune()
  const puller = openPuller(store, knobs)
  const keepAlive = process.env.OLLAMA_KEEP_ALIVE
  const routes = ollamaRoutes({ knobs, store, puller, runner: openRunner(), keepAlive })
  const server = createQuietServer(answerBy(routes, manners(host), knobs.slowMs))
  try {
    await listen(server, host, port)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'address already in use' : String(code)
    process.stderr.write(`Error: listen tcp ${host}:${port}: bind: ${why}\n`)
    process.exit(1)
  }
  if (!knobs.ignoreStop) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(0))
  log(`Listening on ${host}:${port} (version ${OLLAMA_VERSION})`)
  onceListening(knobs, log)
}

function refuseCommand(words: readonly string[]): never {
  const [first, second] = words
  const unknown = first === 'serve' ? second : first
  const isFlag = unknown?.startsWith('-')
  const what = isFlag ? `unknown flag: ${unknown}` : `unknown command "${unknown ?? ''}" for "ollama"`
  process.stderr.write(`Error: ${what}\n`)
  process.exit(1)
}

const isSet = (text: string | undefined) => text !== undefined && !['', '0', 'f', 'false'].includes(text.toLowerCase())

/** `host`, `host:port`, `:port`, with or without a scheme; a bad port is the default one. */
export function readHost(text: string | undefined): { host: string; port: number } {
  const [, scheme, rest = ''] = /^(?:(https?):\/\/)?([^/]*)/.exec((text ?? '').trim()) ?? []
  const defaultPort = scheme === 'http' ? 80 : scheme === 'https' ? 443 : DEFAULT_PORT
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(rest)
  const host = match ? (match[1] ?? match[2] ?? '') : rest
  const port = Number(match?.[3] || defaultPort)
  const isPort = Number.isInteger(port) && port >= 0 && port <= 65_535
  return { host: host || '127.0.0.1', port: isPort ? port : defaultPort }
}

/** Gin's answers, and errors as `{error}`. */
function manners(listenAddress: string): Manners {
  return {
    notFound: ({ response }) => answerText(response, 404, '404 page not found'),
    wrongMethod: ({ response }, allowed) => {
      response.setHeader('Allow', allowed.join(', '))
      answerText(response, 405, '405 method not allowed')
    },
    failed: ({ response }, error) => {
      const status = error instanceof Refusal ? error.status : 500
      answerJson(response, status, { error: (error as Error).message })
    },
    admit: (exchange) => admit(exchange, listenAddress),
  }
}

function admit({ request, response }: Exchange, listenAddress: string): boolean {
  if (!isAllowedHost(listenAddress, request.headers.host)) response.writeHead(403, { 'Content-Length': 0 }).end()
  else if (request.method === 'OPTIONS') response.writeHead(204).end()
  else return true
  return false
}
