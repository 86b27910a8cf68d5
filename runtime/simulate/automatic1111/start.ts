/** Starts the stand-in for Automatic1111: `launch.py` with the UI (gradio) or, under --nowebui, the API alone (uvicorn). */
import { STATUS_CODES } from 'node:http'
import {
  answerBy,
  answerEmpty,
  answerJson,
  createQuietServer,
  describeBindError,
  type Exchange,
  listen,
  type Manners,
} from '../http-answers.ts'
import type { Knobs } from '../knobs.ts'
import { beforeListening, onceListening } from '../misbehaviour.ts'
import { listCheckpoints } from './checkpoints.ts'
import { type Options, readOptions } from './flags.ts'
import { type GenerationFailure, openGenerator } from './generation.ts'
import { automatic1111Routes } from './routes.ts'
import { openSettings } from './settings.ts'

const log = (line: string) => void process.stdout.write(`${line}\n`)

/** Runs until a signal. Port busy: 1. With the UI, SIGINT ends with 0 and SIGTERM kills; uvicorn alone ends with 0 on both. */
export async function startAutomatic1111(words: readonly string[], knobs: Knobs): Promise<void> {
  const read = readOptions(words, process.env.COMMANDLINE_ARGS ?? '', process.cwd())
  if ('refused' in read) {
    const { exitCode, text } = read.refused
    ;(exitCode === 0 ? process.stdout : process.stderr).write(text)
    process.exit(exitCode)
  }
  const { options } = read
  log(`Launching ${options.hasUi ? 'Web UI' : 'API server'} with arguments: ${words.join(' ')}`)
  await beforeListening(knobs, log)
  const [first] = listCheckpoints(options.checkpointDirectory, options.downloadsModel)
  if (first) log(`Loading weights [${first.hash}] from ${first.filename}`)
  const routes = automatic1111Routes({
    options,
    generator: openGenerator(knobs),
    settings: openSettings(options.settingsFile, first?.title ?? null),
    vramBytes: knobs.vramBytes,
  })
  const server = createQuietServer(answerBy(routes, manners(options), knobs.slowMs))
  try {
    await listen(server, options.host, options.port)
  } catch (error) {
    failToBind(options, error)
  }
  handleSignals(options, knobs)
  announce(options)
  onceListening(knobs, log)
}

function failToBind({ hasUi, host, port }: Options, error: unknown): never {
  const reason = describeBindError(error, host, port)
  const line = hasUi
    ? `OSError: Cannot find empty port in range: ${port}-${port}. You can specify a different port by setting the ` +
      'GRADIO_SERVER_PORT environment variable or passing the `server_port` parameter to `launch()`.'
    : `ERROR:    ${reason}`
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

function announce({ hasUi, host, port }: Options): void {
  if (hasUi) log(`Running on local URL:  http://${host}:${port}`)
  else {
    log(`INFO:     Started server process [${process.pid}]`)
    log('INFO:     Waiting for application startup.')
    log('INFO:     Application startup complete.')
    log(`INFO:     Uvicorn running on http://${host}:${port} (Press CTRL+C to quit)`)
  }
  log(`Startup time: ${(performance.now() / 1000).toFixed(1)}s.`)
}

function handleSignals({ hasUi }: Options, knobs: Knobs): void {
  if (knobs.ignoreStop) return
  process.on('SIGINT', () => {
    log(hasUi ? 'Interrupted with signal 2' : 'INFO:     Shutting down')
    process.exit(0)
  })
  if (hasUi) return
  process.on('SIGTERM', () => {
    log('INFO:     Shutting down')
    process.exit(0)
  })
}

/** FastAPI's answers for what no route takes, api.py's for what an endpoint raises. */
function manners(options: Options): Manners {
  return {
    notFound: ({ response }) => answerJson(response, 404, { detail: 'Not Found' }),
    wrongMethod: ({ response }, allowed) => {
      response.setHeader('Allow', allowed.join(', '))
      answerJson(response, 405, { detail: 'Method Not Allowed' })
    },
    failed: ({ request, response }, error) => {
      const { pythonClass, message, status, detail } = describe(error)
      if (status === 500) log(`*** API error: ${request.method}: ${request.url} ${pythonClass}: ${message}`)
      answerJson(response, status, { error: pythonClass, detail, body: '', errors: message })
    },
    admit: (exchange) => admit(exchange, options),
  }
}

function describe(error: unknown): GenerationFailure & { status: number; detail: string } {
  if (error instanceof Error) return { pythonClass: 'RuntimeError', message: error.message, status: 500, detail: '' }
  return { status: 500, detail: '', ...(error as GenerationFailure) }
}

function admit({ request, response }: Exchange, { hasUi, corsOrigins }: Options): boolean {
  const startedMs = performance.now()
  const { origin } = request.headers
  const isAllowed = origin !== undefined && (corsOrigins.includes(origin) || corsOrigins.includes('*'))
  if (isAllowed) response.setHeader('Access-Control-Allow-Origin', origin)
  response.setHeader('X-Process-Time', ((performance.now() - startedMs) / 1000).toFixed(4))
  if (!hasUi) {
    response.on('finish', () => {
      const peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`
      const { statusCode } = response
      log(`INFO:     ${peer} - "${request.method} ${request.url} HTTP/1.1" ${statusCode} ${STATUS_CODES[statusCode]}`)
    })
  }
  if (request.method !== 'OPTIONS' || !isAllowed) return true
  response.setHeader('Access-Control-Allow-Methods', '*')
  answerEmpty(response, 200)
  return false
}
