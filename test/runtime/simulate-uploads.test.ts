import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { boundaryOf, openMultipart } from '../../runtime/simulate/comfyui/multipart.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

async function startComfyUi(args: string[] = []) {
  const directory = temporaryDirectory()
  const port = await freePort()
  mkdirSync(join(directory, 'user'))
  const simulated = startSimulated(['comfyui', '--port', String(port), ...args], {}, directory)
  await simulated.waitFor(/To see the GUI go to/)
  return { ...simulated, url: `http://127.0.0.1:${port}`, directory }
}

const shared = startComfyUi()

function form(fields: Record<string, string>, content: Uint8Array<ArrayBuffer> | undefined, name = 'a.png'): FormData {
  const body = new FormData()
  if (content) body.append('image', new Blob([content]), name)
  for (const [key, value] of Object.entries(fields)) body.append(key, value)
  return body
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

test('an upload lands in its directory, under a name that is free', async () => {
  const comfy = await shared
  const upload = async (fields: Record<string, string>, text: string) => {
    const answer = await fetch(`${comfy.url}/upload/image`, { method: 'POST', body: form(fields, bytes(text)) })
    return answer.json()
  }
  assert.equal(await upload({}, 'one'), { name: 'a.png', subfolder: '', type: 'input' })
  assert.equal(await upload({}, 'one'), { name: 'a.png', subfolder: '', type: 'input' }, 'the same content again')
  assert.equal(await upload({}, 'two'), { name: 'a (1).png', subfolder: '', type: 'input' })
  assert.equal(await upload({ overwrite: 'true' }, 'three'), { name: 'a.png', subfolder: '', type: 'input' })
  assert.is(readFileSync(join(comfy.directory, 'input/a.png'), 'utf8'), 'three')
  assert.equal(await upload({ subfolder: 'x/y', type: 'temp' }, 'four'), {
    name: 'a.png',
    subfolder: 'x/y',
    type: 'temp',
  })
  const seen = await fetch(`${comfy.url}/view?filename=a.png&subfolder=x/y&type=temp`)
  assert.is(await seen.text(), 'four')
  assert.equal(readdirSync(join(comfy.directory, 'temp')), ['x'], 'nothing is left of the upload itself')
})

test('an upload without a file, or out of its directory, is refused', async () => {
  const comfy = await shared
  const status = async (path: string, body: FormData | string) =>
    (await fetch(comfy.url + path, { method: 'POST', body })).status
  assert.is(await status('/upload/image', form({}, undefined)), 400)
  assert.is(await status('/upload/image', form({ subfolder: '../..' }, bytes('x'))), 400)
  assert.is(await status('/upload/image', form({}, bytes('x'), '../../x')), 400)
  assert.is(await status('/upload/image', 'no form'), 400)
  assert.is(await status('/upload/image', form({ type: 'nonsense' }, bytes('x'))), 500)
  assert.not(existsSync(join(comfy.directory, 'x')))
  for (const query of ['filename=../a', 'filename=/etc/passwd', 'filename=a&type=nonsense']) {
    assert.is((await fetch(`${comfy.url}/view?${query}`)).status, 400, query)
  }
  assert.is((await fetch(`${comfy.url}/view?filename=a&subfolder=../..`)).status, 403)
  assert.is((await fetch(`${comfy.url}/view?filename=nothing.png`)).status, 404)
})

test('a mask is kept only over an original that exists', async () => {
  const comfy = await shared
  const original = { filename: 'original.png', type: 'input', subfolder: '' }
  const upload = (ref: unknown) =>
    fetch(`${comfy.url}/upload/mask`, {
      method: 'POST',
      body: form({ original_ref: JSON.stringify(ref), overwrite: 'true' }, bytes('mask'), 'mask.png'),
    })
  assert.is((await upload(original)).status, 200)
  assert.not(existsSync(join(comfy.directory, 'input/mask.png')))
  await fetch(`${comfy.url}/upload/image`, { method: 'POST', body: form({}, bytes('x'), 'original.png') })
  assert.is((await upload(original)).status, 200)
  assert.ok(existsSync(join(comfy.directory, 'input/mask.png')))
})

test('a body above --max-upload-size gets 413 and leaves nothing, one below arrives whole', async () => {
  const comfy = await startComfyUi(['--max-upload-size', '8'])
  const mebibytes = (count: number) => new Uint8Array(count * 1024 ** 2).fill(65)
  const upload = (count: number) =>
    fetch(`${comfy.url}/upload/image`, { method: 'POST', body: form({}, mebibytes(count), `${count}.bin`) })
  assert.is((await upload(7)).status, 200)
  assert.is(statSync(join(comfy.directory, 'input/7.bin')).size, 7 * 1024 ** 2)
  const refused = await upload(9)
  assert.is(refused.status, 413)
  assert.match(await refused.text(), 'Maximum request body size 8388608 exceeded')
  assert.equal(readdirSync(join(comfy.directory, 'input')), ['7.bin'])
  assert.equal(readdirSync(join(comfy.directory, 'temp')), [])
  const prompt = await fetch(`${comfy.url}/prompt`, { method: 'POST', body: mebibytes(9) })
  assert.is(prompt.status, 413)
  await end(comfy)
})

test('a multipart body means the same however it is cut into chunks', () => {
  const part = fc.record({
    name: fc.stringMatching(/^[a-z]{1,8}$/),
    filename: fc.option(fc.stringMatching(/^[a-z.]{1,8}$/), { nil: undefined }),
    content: fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom('\r\n', '\r\n--', '--b', '\r\n--x', '').map((text) => bytes(text)),
    ),
  })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 40 }), (parts, cut) => {
      const boundary = 'bOuNdArY'
      const body = Buffer.concat([
        ...parts.flatMap(({ name, filename, content }) => [
          Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"`),
          Buffer.from(`${filename === undefined ? '' : `; filename="${filename}"`}\r\n\r\n`),
          Buffer.from(content),
          Buffer.from('\r\n'),
        ]),
        Buffer.from(`--${boundary}--\r\n`),
      ])
      const reader = openMultipart(boundary)
      const found: { name: string; filename: string | undefined; content: Uint8Array }[] = []
      let chunks: Buffer[] = []
      for (let at = 0; at < body.length; at += cut) {
        for (const event of reader.push(body.subarray(at, at + cut))) {
          if (event.kind === 'part') found.push({ ...event.header, content: new Uint8Array() })
          else if (event.kind === 'data') chunks.push(Buffer.from(event.bytes))
          else {
            found[found.length - 1] = { ...found.at(-1)!, content: new Uint8Array(Buffer.concat(chunks)) }
            chunks = []
          }
        }
      }
      assert.ok(reader.finished())
      assert.equal(
        found,
        parts.map(({ name, filename, content }) => ({ name, filename, content: new Uint8Array(content) })),
      )
    }),
  )
})

test('the boundary is read from the content type, quoted or not', () => {
  assert.is(boundaryOf('multipart/form-data; boundary=abc'), 'abc')
  assert.is(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"'), 'a b')
  assert.is(boundaryOf('application/json'), undefined)
  assert.is(boundaryOf(undefined), undefined)
})

test.after(endAll)
test.run()
