import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { htmlComment, htmlText } from '../../generator/emit/quote/html.ts'
import {
  bearerMapLine,
  nginxLiteral,
  nginxName,
  nginxRefusal,
  nginxWord,
  regexText,
} from '../../generator/emit/quote/nginx.ts'
import { send, startNginx, until } from '../system/nginx-machine.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const children = new Set<ChildProcess>()
process.on('exit', () => {
  // Not SIGKILL: that would leave the workers behind.
  for (const child of children) child.kill('SIGTERM')
})

/** Text with much of what means something to nginx. */
const spiteful = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom('$', '${', '$1', '${dollar}', '$host', '"', "'", '\\', '\\"', '\\n', '{', '}', ';', '#', ' '),
      fc.constantFrom('\n', '\r', '\t', '\0', '\ud800', '\u2028', 'include', '%s', '*', '[', ']', '?', '~', '//', '..'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))

/** Runs a real nginx over `locations` and gives the body of each of `paths`. */
async function serve(main: string, locations: string, paths: readonly string[], headers: Record<string, string> = {}) {
  const directory = temporaryDirectory()
  const socketPath = join(directory, 's')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join('\n')
  const text = `daemon off; user root; pid ${directory}/pid; error_log stderr; worker_processes 1; events {}
http { access_log off; default_type text/plain; map_hash_bucket_size 256; ${temporary}
geo $dollar { default "$"; }
${main}
server { listen unix:${socketPath};
${locations}
} }`
  writeFileSync(join(directory, 'nginx.conf'), text)
  const child = spawn('nginx', ['-c', join(directory, 'nginx.conf'), '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.add(child)
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  try {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`${errors}\n${text}`)
      return existsSync(join(directory, 'pid')) && existsSync(socketPath)
    })
    return await Promise.all(paths.map((path) => fetchSocket(socketPath, path, headers)))
  } finally {
    child.kill('SIGTERM')
    await exited
    children.delete(child)
  }
}

function fetchSocket(socketPath: string, path: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
      .on('error', reject)
      .end()
  })
}

const kept = (values: readonly string[]) => values.filter((value) => nginxRefusal(value) === null)

test('any text is refused or comes out of nginx as it went in, where variables are expanded', async () => {
  const property = fc.asyncProperty(fc.array(spiteful, { minLength: 20, maxLength: 60 }), async (values) => {
    const words = kept(values)
    const locations = words.map((value, index) => `location = /${index} { return 200 ${nginxWord(value)}; }`)
    const bodies = await serve(
      '',
      locations.join('\n'),
      [...words.keys()].map((index) => `/${index}`),
    )
    assert.equal(bodies, words)
  })
  await fc.assert(property, { numRuns: 15 })
})

test('any text is refused or comes out of nginx as it went in, where no variable is expanded', async () => {
  const property = fc.asyncProperty(fc.array(spiteful, { minLength: 20, maxLength: 60 }), async (values) => {
    const words = kept(values)
    const geos = words.map((value, index) => `geo $value_${index} { default ${nginxLiteral(value)}; }`)
    const locations = words.map((_, index) => `location = /${index} { return 200 $value_${index}; }`)
    const bodies = await serve(
      `variables_hash_max_size 4096;${geos.join('\n')}`,
      locations.join('\n'),
      [...words.keys()].map((index) => `/${index}`),
    )
    assert.equal(bodies, words)
  })
  await fc.assert(property, { numRuns: 15 })
})

test('NUL, half a surrogate pair and what is too long for nginx are refused, with the reason', () => {
  for (const quote of [nginxWord, nginxLiteral]) {
    assert.throws(() => quote('a\0b'), /NUL/)
    assert.throws(() => quote('a\udc00'), /surrogate/)
    assert.throws(() => quote('é'.repeat(2000)), /takes 4002 bytes there, and nginx reads 4000 at most/)
  }
  assert.is(nginxRefusal('a\0b'), 'it has a NUL character')
  assert.is(nginxRefusal('plain'), null)
  assert.throws(() => nginxName('a b'), /cannot write "a b" as an nginx name/)
})

test('nginx takes a word of the greatest length', async () => {
  const longest = 'é'.repeat(1999)
  assert.equal(await serve('', `location / { return 200 ${nginxWord(longest)}; }`, ['/']), [longest])
})

test('a text as a regular expression matches itself and nothing else', () => {
  const property = fc.property(spiteful, spiteful, (text, other) => {
    const expression = new RegExp(`^(?:${regexText(text)})$`)
    assert.ok(expression.test(text))
    assert.is(expression.test(other), other === text)
  })
  fc.assert(property)
})

const token = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 60,
})

test('the bearer map lets in its token, and neither another nor a part of it', async () => {
  const property = fc.asyncProperty(token, fc.array(token, { maxLength: 5 }), async (secret, others) => {
    const flipped = [...secret].map((letter) =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    )
    const wrong = [...others, flipped.join(''), `${secret}x`, `x${secret}`, secret.slice(1)].filter(
      (text) => text !== secret,
    )
    const map = `map $http_authorization $is_right { default no; ${bearerMapLine(secret)} }`
    const ask = (text: string) =>
      serve(map, 'location / { return 200 $is_right; }', ['/'], { Authorization: `Bearer ${text}` })
    assert.equal(await ask(secret), ['1'])
    for (const text of wrong.slice(0, 4)) assert.equal(await ask(text), ['no'])
  })
  await fc.assert(property, { numRuns: 8 })
})

test('the bearer map takes a token of the greatest length', async () => {
  const secret = '~'.repeat(990)
  const map = `map $http_authorization $is_right { default no; ${bearerMapLine(secret)} }`
  const headers = { Authorization: `Bearer ${secret}` }
  assert.equal(await serve(map, 'location / { return 200 $is_right; }', ['/'], headers), ['1'])
})

test('a token that no header can carry has no line, and is not told in the error', () => {
  for (const bad of ['', 'two words', 'ünicode', 'new\nline', 'x'.repeat(991)]) {
    assert.throws(
      () => bearerMapLine(bad),
      (error: Error) => !error.message.includes('words') && /bearer token/.test(error.message),
    )
  }
})

test('a machine in a directory of any name is served, asks for credentials and logs there', async () => {
  const names = ['a b', '$host', '${dollar}', '"q"', "it's", 'back\\slash', '{};#', 'new\nline', '[a]*?', 'ü', '~']
  for (const name of names) {
    const root = join(temporaryDirectory(), name)
    mkdirSync(root)
    const machine = await startNginx(
      { root, types: ['comfyui'] },
      { bearerMap: bearerMapLine('t'), htpasswd: 'sd:{PLAIN}p\n' },
    )
    const ask = async (authorization?: string) =>
      (await send(machine.port, { path: '/', headers: authorization === undefined ? {} : { authorization } })).status
    assert.equal([await ask(), await ask('Bearer t'), await ask('Basic c2Q6cA==')], [401, 200, 200], name)
    const page = await send(machine.port, {
      path: '/comfyui/0/',
      headers: { authorization: 'Bearer t', accept: 'text/html' },
    })
    assert.is(page.status, 503, name)
    assert.match(page.body, 'comfyui-gpu0', name)
    assert.is((await machine.logged(page.headers['x-request-id'])).status, 503, name)
    await machine.stop()
  }
})

test('a value never becomes markup of a page', () => {
  const property = fc.property(spiteful, (value) => {
    assert.not.match(htmlText(value), /[<>"']/)
    assert.not.match(htmlComment(value), /--|[\r\n]|>$/)
  })
  fc.assert(property)
  assert.is(htmlText('a & b'), 'a &amp; b')
})

test.run()
