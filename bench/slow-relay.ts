/**
 * A line with latency, in user space, for kernels that have no netem: `slow-relay.ts PORT DELAY_MS BYTES_PER_SECOND
 * BYTES_PER_SECOND_OF_ONE` passes connections on to a port of loopback. What comes back takes the delay, each connection
 * gets at the most its own rate, as a window and a round trip make it, and all of them share the line. Prints its port.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const [upstreamPort = 0, delayMs = 0, lineRate = 0, ownRate = 0] = process.argv.slice(2).map(Number)

/** The moment at which so many bytes have passed, of a pipe of some rate. */
function createPipe(bytesPerSecond: number): (bytes: number) => number {
  let freeAtMs = 0
  return (bytes) => {
    freeAtMs = Math.max(freeAtMs, performance.now()) + (bytes / bytesPerSecond) * 1000
    return freeAtMs
  }
}

const line = createPipe(lineRate)

/** What is on its way to a client; the server is asked for more when it is little. */
const MOST_UNDERWAY = 2_000_000

function relay(client: Socket): void {
  const upstream = connect({ host: '127.0.0.1', port: upstreamPort })
  const own = createPipe(ownRate)
  const toClient = createQueue()
  const toUpstream = createQueue()
  let underway = 0
  for (const socket of [client, upstream]) socket.on('error', () => {})
  client.on('close', () => upstream.destroy())
  // A handshake is a round trip too, which loopback does without.
  client.on('data', (bytes) => toUpstream(performance.now() + 3 * delayMs, () => upstream.write(bytes)))
  upstream.on('data', (bytes) => {
    underway += bytes.length
    if (underway > MOST_UNDERWAY) upstream.pause()
    toClient(Math.max(line(bytes.length), own(bytes.length)) + delayMs, () => {
      client.write(bytes)
      underway -= bytes.length
      if (underway < MOST_UNDERWAY / 2) upstream.resume()
    })
  })
  upstream.on('end', () => toClient(0, () => client.end()))
}

/** Does things at their times and in their order. */
function createQueue(): (atMs: number, perform: () => void) => void {
  const waiting: { readonly atMs: number; readonly perform: () => void }[] = []
  const next = () => {
    while (waiting.length > 0 && waiting[0]!.atMs <= performance.now()) waiting.shift()!.perform()
    if (waiting.length > 0) setTimeout(next, waiting[0]!.atMs - performance.now())
  }
  return (atMs, perform) => {
    waiting.push({ atMs, perform })
    if (waiting.length === 1) next()
  }
}

const server = createServer({ allowHalfOpen: true }, relay)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log((server.address() as AddressInfo).port)
