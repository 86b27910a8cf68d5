/** POST /upload/image and /upload/mask: multipart bodies of any size, streamed to disk while they are counted. */
import { createHash, type Hash, randomUUID } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { copyFile, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { answerEmpty, answerJson, type Exchange } from '../http-answers.ts'
import type { Directories } from './flags.ts'
import { boundaryOf, type MultipartEvent, openMultipart } from './multipart.ts'
import { bodyTooLarge } from './refusals.ts'

interface Received {
  readonly fields: Readonly<Record<string, string>>
  /** The file of the field `image`, if there was one. */
  readonly file: { readonly path: string; readonly name: string; readonly sha256: string } | undefined
}

/**
 * Takes an upload. `keep` decides from the form whether the file itself is stored: a mask whose original is not there
 * is answered like a stored one, but leaves nothing.
 */
export async function receiveUpload(
  exchange: Exchange,
  directories: Directories,
  maxBytes: number,
  keep: (fields: Readonly<Record<string, string>>) => boolean = () => true,
): Promise<void> {
  const received = await receive(exchange, directories.temp, maxBytes)
  try {
    const { fields, file } = received
    const directory = { input: directories.input, temp: directories.temp, output: directories.output }[
      fields.type ?? 'input'
    ]
    if (directory === undefined) throw new Error('UnboundLocalError: cannot access local variable type_dir')
    if (file === undefined || file.name === '') return answerEmpty(exchange.response, 400)
    const subfolder = fields.subfolder ?? ''
    const folder = resolve(directory, subfolder.replace(/^\/+/, ''))
    const target = resolve(folder, file.name)
    if (!isInside(directory, target) || subfolder.startsWith('/')) return answerEmpty(exchange.response, 400)
    await mkdir(folder, { recursive: true })
    const overwrite = fields.overwrite === 'true' || fields.overwrite === '1'
    const place = overwrite ? { name: file.name, duplicate: false } : await freeName(folder, file.name, file.sha256)
    if (!place.duplicate && keep(fields)) await move(file.path, join(folder, place.name))
    answerJson(exchange.response, 200, { name: place.name, subfolder, type: fields.type ?? 'input' })
  } finally {
    if (received.file) await rm(received.file.path, { force: true })
  }
}

/** `name`, or `name (1)` and so on where it is taken by other content; the same content is a duplicate. */
async function freeName(folder: string, name: string, sha256: string): Promise<{ name: string; duplicate: boolean }> {
  const suffix = extname(name)
  const stem = name.slice(0, name.length - suffix.length)
  let candidate = name
  for (let index = 1; existsSync(join(folder, candidate)); index++) {
    if ((await hashFile(join(folder, candidate))) === sha256) return { name: candidate, duplicate: true }
    candidate = `${stem} (${index})${suffix}`
  }
  return { name: candidate, duplicate: false }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await copyFile(from, to)
  }
}

/** True for `path` below `directory`, and for the directory itself. */
export function isInside(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`)
}

/** Reads the form; small fields are kept, the file goes to the temp directory. */
async function receive({ request }: Exchange, temp: string, maxBytes: number): Promise<Received> {
  const boundary = boundaryOf(request.headers['content-type'])
  if (boundary === undefined) {
    request.resume()
    return { fields: {}, file: undefined }
  }
  const reader = openMultipart(boundary)
  const form = openForm(temp)
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes) throw bodyTooLarge(maxBytes, size)
      for (const event of reader.push(chunk)) await form.take(event)
    }
    if (!reader.finished()) throw new Error('ValueError: Could not find closing boundary')
    return form.close()
  } catch (error) {
    request.resume()
    await form.discard()
    throw error
  }
}

interface Form {
  take(event: MultipartEvent): Promise<void>
  close(): Received
  discard(): Promise<void>
}

function openForm(temp: string): Form {
  const fields: Record<string, string> = {}
  const path = join(temp, `.upload-${randomUUID()}`)
  let field: { name: string; chunks: Buffer[] } | undefined
  let upload: { handle: FileHandle; hash: Hash } | undefined
  let file: Received['file']
  return {
    async take(event) {
      if (event.kind === 'part') {
        const { name, filename } = event.header
        field = filename === undefined ? { name, chunks: [] } : undefined
        if (name !== 'image' || filename === undefined) return
        await mkdir(temp, { recursive: true })
        upload = { handle: await open(path, 'w'), hash: createHash('sha256') }
        file = { path, name: filename, sha256: '' }
      } else if (event.kind === 'data') {
        field?.chunks.push(Buffer.from(event.bytes))
        upload?.hash.update(event.bytes)
        await upload?.handle.writeFile(event.bytes)
      } else {
        if (field) fields[field.name] = Buffer.concat(field.chunks).toString('utf8')
        if (upload && file) {
          await upload.handle.close()
          file = { ...file, sha256: upload.hash.digest('hex') }
        }
        field = undefined
        upload = undefined
      }
    },
    close: () => ({ fields, file }),
    async discard() {
      await upload?.handle.close()
      await rm(path, { force: true })
    },
  }
}
