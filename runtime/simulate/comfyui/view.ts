/** GET /view: one file of input, output or temp, behind the same checks as in server.py. */
import { createReadStream, statSync } from 'node:fs'
import { basename, extname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { answerEmpty, type Exchange } from '../http-answers.ts'
import type { Directories } from './flags.ts'
import { isInside } from './uploads.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
  '.json': 'application/json',
  '.txt': 'text/plain',
}

/** The content type by a file's name. */
export const contentType = (path: string) => TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream'

/** A name may carry its directory: `a.png [output]`. */
function splitAnnotation(name: string): { name: string; type: string | undefined } {
  const match = /^(.*) \[(output|input|temp)\]$/s.exec(name)
  return match ? { name: match[1] as string, type: match[2] } : { name, type: undefined }
}

export function directoryOf(directories: Directories, type: string): string | undefined {
  return { input: directories.input, output: directories.output, temp: directories.temp }[type]
}

export async function view({ query, response }: Exchange, directories: Directories): Promise<void> {
  const asked = query.get('filename')
  if (asked === null) return answerEmpty(response, 404)
  const { name, type } = splitAnnotation(asked)
  const directory = directoryOf(directories, type ?? query.get('type') ?? 'output')
  if (name === '' || name.startsWith('/') || name.includes('..') || directory === undefined) {
    return answerEmpty(response, 400)
  }
  const folder = resolve(directory, query.get('subfolder') ?? '')
  if (!isInside(directory, folder)) return answerEmpty(response, 403)
  const file = basename(name)
  await sendFile({ response }, join(folder, file), { 'Content-Disposition': `filename="${file}"` })
}

/** Streams a file, or answers 404. */
export async function sendFile(
  { response }: Pick<Exchange, 'response'>,
  path: string,
  headers: Record<string, string>,
): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isFile()) return answerEmpty(response, 404)
  response.writeHead(200, {
    'Content-Type': contentType(path),
    'Content-Length': found.size,
    'Last-Modified': found.mtime.toUTCString(),
    ETag: `"${found.mtimeMs.toString(16)}-${found.size.toString(16)}"`,
    ...headers,
  })
  if (response.req.method === 'HEAD') response.end()
  // A client that leaves in the middle is no error of ours.
  else await pipeline(createReadStream(path), response).catch(() => response.destroy())
}
