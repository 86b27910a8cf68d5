/** /userdata: the files that the frontend keeps for a user, workflows above all (app/user_manager.py). */
import { randomUUID } from 'node:crypto'
import { type Dirent, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { answerEmpty, answerJson, answerText, type Exchange, type Route, readBody } from '../http-answers.ts'
import { bodyTooLarge } from './refusals.ts'
import { isInside } from './uploads.ts'
import { sendFile } from './view.ts'

export function userdataRoutes(userDirectory: string, maxBytes: number): Route[] {
  const root = join(userDirectory, 'default')
  return [
    {
      method: 'GET',
      path: '/users',
      handle: ({ response }) => answerJson(response, 200, { storage: 'server', migrated: existsSync(root) }),
    },
    { method: 'GET', path: '/userdata', handle: (exchange) => list(exchange, root) },
    { method: 'GET', path: '/userdata/{file}', handle: (exchange) => read(exchange, root) },
    { method: 'POST', path: '/userdata/{file}', handle: (exchange) => write(exchange, root, maxBytes) },
    { method: 'DELETE', path: '/userdata/{file}', handle: (exchange) => remove(exchange, root) },
    { method: 'POST', path: '/userdata/{file}/move/{dest}', handle: (exchange) => move(exchange, root) },
  ]
}

/** The path of a user's file, its directory made; nothing if it would leave the user's directory. */
function locate(root: string, name: string): string | undefined {
  const path = resolve(root, name.includes('%') ? safelyDecode(name) : name)
  if (!isInside(root, path)) return undefined
  mkdirSync(dirname(path), { recursive: true })
  return path
}

function safelyDecode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** A file's path, or an answer already given: 403 for a path outside, 404 for one that has to exist and does not. */
function locateOr404({ parameters, response }: Exchange, root: string, name: string, mustExist: boolean) {
  const path = locate(root, parameters[name] ?? '')
  if (path === undefined) answerEmpty(response, 403)
  else if (mustExist && !existsSync(path)) answerEmpty(response, 404)
  else return path
  return undefined
}

const isTrue = (exchange: Exchange, name: string) => exchange.query.get(name)?.toLowerCase() === 'true'
const forbidsOverwrite = ({ query }: Exchange) => query.get('overwrite') === 'false'

function describe(path: string, base: string) {
  const { size, mtimeMs, ctimeMs } = statSync(path)
  return { path: relative(base, path), size, modified: Math.trunc(mtimeMs), created: Math.trunc(ctimeMs) }
}

function list(exchange: Exchange, root: string): void {
  const { query, response } = exchange
  const name = query.get('dir') ?? ''
  const directory = name === '' ? undefined : locate(root, name)
  if (name === '') answerText(response, 400, 'Directory not provided')
  else if (directory === undefined) answerText(response, 403, 'Invalid directory')
  else if (!existsSync(directory)) answerText(response, 404, 'Directory not found')
  else answerJson(response, 200, listFiles(exchange, directory))
}

function listFiles(exchange: Exchange, directory: string): unknown[] {
  const entries: Dirent[] = readdirSync(directory, { recursive: isTrue(exchange, 'recurse'), withFileTypes: true })
  // glob.glob leaves out names that begin with a dot.
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
  const show = (path: string) => {
    if (isTrue(exchange, 'full_info')) return describe(path, directory)
    const shown = relative(directory, path)
    return isTrue(exchange, 'split') ? [shown, ...shown.split('/')] : shown
  }
  return files.map(show)
}

async function read(exchange: Exchange, root: string): Promise<void> {
  const path = locateOr404(exchange, root, 'file', true)
  if (path !== undefined) await sendFile(exchange, path, {})
}

async function write(exchange: Exchange, root: string, maxBytes: number): Promise<void> {
  const path = locateOr404(exchange, root, 'file', false)
  if (path === undefined) return
  if (forbidsOverwrite(exchange) && existsSync(path)) return answerText(exchange.response, 409, 'File already exists')
  const body = await readBody(exchange.request, maxBytes, (actual) => bodyTooLarge(maxBytes, actual))
  const unfinished = join(dirname(path), `.${randomUUID()}`)
  writeFileSync(unfinished, body)
  renameSync(unfinished, path)
  answerWritten(exchange, path, root)
}

function remove(exchange: Exchange, root: string): void {
  const path = locateOr404(exchange, root, 'file', true)
  if (path === undefined) return
  rmSync(path)
  answerEmpty(exchange.response, 204)
}

function move(exchange: Exchange, root: string): void {
  const source = locateOr404(exchange, root, 'file', true)
  if (source === undefined) return
  const target = locateOr404(exchange, root, 'dest', false)
  if (target === undefined) return
  if (forbidsOverwrite(exchange) && existsSync(target)) answerText(exchange.response, 409, 'File already exists')
  else {
    renameSync(source, target)
    answerWritten(exchange, target, root)
  }
}

function answerWritten(exchange: Exchange, path: string, root: string): void {
  answerJson(exchange.response, 200, isTrue(exchange, 'full_info') ? describe(path, root) : relative(root, path))
}
