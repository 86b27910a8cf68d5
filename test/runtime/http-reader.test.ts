import { createServer } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createHttpAsk } from '../../runtime/sidecar/probes/http-ask.ts'
import { type ReadAnswer, readAnswer } from '../../runtime/sidecar/probes/http-reader.ts'

/** Gives the bytes in pieces of these lengths, the last one to the end, and then the end. */
function read(bytes: Buffer, lengths: readonly number[], headBytes?: number): ReadAnswer {
  const reader = readAnswer(headBytes)
  let at = 0
  for (const length of [...lengths, bytes.length]) {
    if (at >= bytes.length) break
    const answer = reader.push(bytes.subarray(at, at + length))
    if (answer !== null) return answer
    at += length
  }
  return reader.end()
}

function chunked(body: Buffer, sizes: readonly number[]): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0, index = 0; at < body.length; index += 1) {
    const piece = body.subarray(at, at + (sizes[index] ?? body.length))
    pieces.push(Buffer.from(`${piece.length.toString(16)};note="x"\r\n`), piece, Buffer.from('\r\n'))
    at += piece.length
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\nx-trailer: y\r\n\r\n')])
}

const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 })

test('an answer is the same in whatever pieces it comes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.constantFrom('sized', 'chunked', 'closed'),
      lengths,
      lengths,
      (content, framing, sizes, cuts) => {
        const body = Buffer.from(content)
        const [header, sent] = {
          sized: [`content-length: ${body.length}\r\n`, body],
          chunked: ['transfer-encoding: chunked\r\n', chunked(body, sizes)],
          closed: ['', body],
        }[framing] as [string, Buffer]
        const head = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nserver: x\r\n${header}\r\n`
        const answer = read(Buffer.concat([Buffer.from(head), sent]), cuts)
        assert.equal(answer, {
          status: 200,
          body: body.toString(),
          isCut: false,
          isReusable: framing !== 'closed',
        })
      },
    ),
  )
})

test('any bytes are an answer or an error, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), lengths, (bytes, isHeadWhole, cuts) => {
      const head = isHeadWhole ? 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n' : ''
      try {
        assert.type(read(Buffer.concat([Buffer.from(head), Buffer.from(bytes)]), cuts).status, 'number')
      } catch (error) {
        assert.instance(error, Error)
        assert.match((error as Error).message, /answer|headers|trailers|content-length/)
      }
    }),
  )
})

for (const [what, text, reason] of [
  ['headers without an end', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(5000)}`, /headers are larger/],
  ['a body that is too large', `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1_100_000)}`, /larger than 1048576/],
  ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', /content-length is "-1"/],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', /content-length is "2"/],
  ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', /in the middle/],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n', /not HTTP/],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(() => read(Buffer.from(text), []), reason)
  })
}

test('of an answer whose beginning says it all no more is read', () => {
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(5000)}`)
  const answer = read(bytes, [], 1000)
  assert.is(answer.isCut, true)
  assert.is(answer.isReusable, false)
})

/** Listens, counts connections, and closes all at the end. */
async function withPort(
  listen: (count: (socket: Socket) => void) => import('node:net').Server,
  check: (url: URL, opened: () => number) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = []
  const server = listen((socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  try {
    await check(new URL(`http://127.0.0.1:${port}/a?b=c`), () => sockets.length)
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

const helloServer = (count: (socket: Socket) => void) =>
  createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => response.end(`${request.method} ${request.url} ${body}`))
  }).on('connection', count)

test('a connection is kept only where that was allowed', async () => {
  await withPort(helloServer, async (url, opened) => {
    const { ask, close } = createHttpAsk()
    for (const expected of [1, 2]) {
      assert.is((await ask(url, 2000)).body, 'GET /a?b=c ')
      assert.is(opened(), expected)
    }
    for (let round = 0; round < 3; round += 1) {
      assert.is((await ask(url, 2000, { keep: true })).body, 'GET /a?b=c ')
      assert.is(opened(), 3)
    }
    const posted = await ask(url, 2000, { keep: true, json: { name: 'Grüße 😀' } })
    const [method, path, json] = posted.body.split(' ', 2).concat(posted.body.split(' ').slice(2).join(' '))
    assert.equal([method, path, JSON.parse(json!)], ['POST', '/a?b=c', { name: 'Grüße 😀' }])
    close()
  })
})

test('a kept connection that was closed meanwhile is replaced, and nobody notices', async () => {
  const sockets: Socket[] = []
  await withPort(
    (count) =>
      createTcpServer((socket) => {
        count(socket)
        sockets.push(socket)
        let questions = 0
        socket.on('error', () => {})
        socket.on('data', () => {
          questions += 1
          if (questions > 1) socket.destroy()
          else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
        })
      }),
    async (url, opened) => {
      const { ask, close } = createHttpAsk()
      for (const expected of [1, 2, 3]) {
        assert.is((await ask(url, 2000, { keep: true })).body, 'ok')
        assert.is(opened(), expected)
      }
      sockets.at(-1)!.destroy()
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.is((await ask(url, 2000, { keep: true })).body, 'ok')
      close()
    },
  )
})

test('a server that answers late, half or never is given up in time, and its connection with it', async () => {
  await withPort(
    (count) =>
      createTcpServer((socket) => {
        count(socket)
        socket.on('error', () => {})
        socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'))
      }),
    async (url) => {
      const { ask, close } = createHttpAsk()
      const startedMs = performance.now()
      await ask(url, 150, { keep: true }).then(
        () => assert.unreachable(),
        (error: Error) => assert.is(error.name, 'TimeoutError'),
      )
      assert.ok(performance.now() - startedMs < 2000)
      const unanswered = ask(url, 60_000).then(
        () => 'answered',
        (error: Error) => error.message,
      )
      await new Promise((resolve) => setTimeout(resolve, 30))
      close()
      assert.match(await unanswered, /nobody waits/)
    },
  )
})

test.run()
