/** Starts the stand-in for ComfyUI: the order of main.py, from the flags to the listening server. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Server } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  answerBy,
  answerEmpty,
  createQuietServer,
  describeBindError,
  type Exchange,
  listen,
  type Manners,
  openExchange,
} from '../http-answers.ts'
import type { Knobs } from '../knobs.ts'
import { beforeListening, onceListening } from '../misbehaviour.ts'
import { databaseDirectory, type Options, readOptions } from './flags.ts'
import { type Log, openLog } from './log.ts'
import { builtInFolders, loadExtraPaths, type ModelFolders } from './model-folders.ts'
import { findOriginMismatch } from './origin-check.ts'
import { assemble, type ComfyUi } from './program.ts'
import { aiohttpManners } from './refusals.ts'
import { comfyuiRoutes } from './routes.ts'
import { startupLines } from './system-stats.ts'

/** Runs until a signal; ends the process with argparse's 2, Python's 1, or 0 after SIGINT, as the real program does. */
export async function startComfyUi(words: readonly string[], knobs: Knobs): Promise<void> {
  const read = readOptions(words, process.cwd())
  if ('refused' in read) {
    const { exitCode, text } = read.refused
    ;(exitCode === 0 ? process.stdout : process.stderr).write(text)
    process.exit(exitCode)
  }
  const { options } = read
  const log = openLog(options.logToStdout ? process.stdout : process.stderr)
  for (const line of startupLines(options, knobs)) log.write(line)
  const folders = builtInFolders(options.directories)
  await addExtraFolders(options, log, folders)
  prepareDirectories(options)
  await beforeListening(knobs, log.write)
  createDatabase(options, log)
  if (options.quickTest) process.exit(0)
  mkdirSync(options.directories.temp, { recursive: true })
  const comfy = assemble(options, knobs, log, folders)
  // Python dies of a SIGINT while it loads; from here on it ends cleanly.
  if (!knobs.ignoreStop) process.on('SIGINT', () => stop(comfy, 0))
  await serve(comfy)
  onceListening(knobs, log.write)
}

async function addExtraFolders(options: Options, log: Log, folders: ModelFolders): Promise<void> {
  try {
    for (const file of options.extraModelPathFiles) {
      for (const line of await loadExtraPaths(folders, file)) log.write(line)
    }
  } catch (error) {
    log.write(`Traceback (most recent call last):\n${(error as Error).message}`)
    process.exit(1)
  }
}

/** The temp directory never survives a start, whoever it belonged to. */
function prepareDirectories({ directories }: Options): void {
  rmSync(directories.temp, { recursive: true, force: true })
  for (const directory of [directories.input, directories.user]) mkdirSync(directory, { recursive: true })
}

function createDatabase({ databaseFile }: Options, log: Log): void {
  if (databaseFile === undefined) return
  if (existsSync(databaseDirectory(databaseFile))) {
    if (!existsSync(databaseFile)) writeFileSync(databaseFile, '')
    for (const line of ['Context impl SQLiteImpl.', 'Will assume non-transactional DDL.']) log.write(line)
  } else {
    log.write(
      'Failed to initialize database. Please ensure you have installed the latest requirements. If the error persists, ' +
        'please report this as in future the database will be required: (sqlite3.OperationalError) unable to open database file',
    )
  }
}

async function serve(comfy: ComfyUi): Promise<void> {
  const { options, log, knobs } = comfy
  const manners: Manners = { ...aiohttpManners(log), admit: (exchange) => admit(exchange, comfy) }
  const listener = answerBy(comfyuiRoutes(comfy), manners, knobs.slowMs)
  log.write('Starting server\n')
  for (const address of options.addresses) {
    try {
      await listen(createServer(comfy, listener), address, options.port)
    } catch (error) {
      log.write(`Traceback (most recent call last):\nOSError: ${describeBindError(error, address, options.port)}`)
      stop(comfy, 1)
    }
    if (!options.printServer) continue
    const shown = address.includes(':') ? `[${address}]` : address
    log.write(`To see the GUI go to: ${options.tls ? 'https' : 'http'}://${shown}:${options.port}`)
  }
}

function createServer(comfy: ComfyUi, listener: RequestListener): Server {
  const { tls } = comfy.options
  const keys = tls && {
    key: readFileSync(tls.keyFile, 'utf8'),
    cert: readFileSync(tls.certificateFile, 'utf8'),
  }
  const server = createQuietServer(listener, keys)
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void upgrade(comfy, request, socket, head).catch(() => socket.destroy())
  })
  return server
}

async function upgrade({ options, sockets, log }: ComfyUi, request: IncomingMessage, socket: Duplex, head: Buffer) {
  const { path, query } = openExchange(request, undefined as unknown as ServerResponse)
  const refuse = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
  if (path !== '/ws' && path !== '/api/ws') return refuse('404 Not Found')
  if (options.corsOrigin === undefined && (await isForeign(request, log))) return refuse('403 Forbidden')
  sockets.accept(request, socket, head, query.get('clientId') ?? undefined)
}

async function isForeign(request: IncomingMessage, log: Log): Promise<boolean> {
  const mismatch = await findOriginMismatch(request.headers.host, request.headers.origin)
  if (mismatch === undefined) return false
  log.write(`WARNING: request with non matching host and origin ${mismatch.host} != ${mismatch.origin}, returning 403`)
  return true
}

/** CORS headers where they are switched on, else the origin check; preflights get an empty 200 either way. */
async function admit({ request, response }: Exchange, { options, log }: ComfyUi): Promise<boolean> {
  if (options.corsOrigin !== undefined) {
    response.setHeader('Access-Control-Allow-Origin', options.corsOrigin)
    response.setHeader('Access-Control-Allow-Methods', 'POST, GET, DELETE, PUT, OPTIONS, PATCH')
    response.setHeader('Access-Control-Allow-Headers', 'Content-Type, Authorization')
    response.setHeader('Access-Control-Allow-Credentials', 'true')
  } else if (await isForeign(request, log)) {
    answerEmpty(response, 403)
    return false
  }
  if (request.method !== 'OPTIONS') return true
  answerEmpty(response, 200)
  return false
}

function stop({ options, log }: ComfyUi, exitCode: number): never {
  if (exitCode === 0) log.write('\nStopped server')
  rmSync(options.directories.temp, { recursive: true, force: true })
  process.exit(exitCode)
}
