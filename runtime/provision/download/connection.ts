import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { DownloadError } from './download-error.ts'
import { connectThroughProxy, proxyFor } from './proxy.ts'

/** What is to happen after some bytes: go on, pause for so many ms, or read no more. */
export type Taken = number | 'enough'

/** Gets bytes of a buffer that is used again at once. */
export type TakeBytes = (bytes: Buffer) => Taken

/**
 * A connection whose bytes arrive in one reused buffer. Reads are as large as the buffer then, and most of the work is the
 * kernel's: a general HTTP client takes a whole core for 700 MB/s in pieces of 64 KiB, and 140 MB of memory.
 */
export interface Connection {
  readonly write: (text: string) => void
  /**
   * Passes on what arrives until `take` has enough, which gives true, or the other side ends, which gives false. Rejects
   * where the connection breaks or is silent for too long.
   */
  readonly read: (take: TakeBytes, silenceMs: number) => Promise<boolean>
  readonly close: () => void
}

export type Environment = Readonly<Record<string, string | undefined>>

const CONNECT_TIMEOUT_MS = 20_000

/** Connects to the host of a URL: directly, or through the proxy that the environment names. */
export async function openConnection(url: URL, buffer: Buffer, environment: Environment): Promise<Connection> {
  const reading = createReading(buffer)
  const proxy = proxyFor(url, environment)
  const socket = proxy === null ? connectDirectly(url, reading.onread) : await throughProxy(url, proxy)
  if (proxy !== null) socket.on('data', reading.deliver)
  await connected(socket, url.protocol === 'https:' ? 'secureConnect' : 'connect')
  return reading.attach(socket)
}

type OnRead = { readonly buffer: Buffer; readonly callback: (length: number) => boolean }

function connectDirectly(url: URL, onread: OnRead): Socket {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  if (url.protocol === 'http:') return connectTcp({ host, port, onread })
  // Its types lack `onread`, which it documents (tls.connect).
  const options = { host, port, onread, ALPNProtocols: ['http/1.1'], ...serverName(host) }
  return connectTls(options)
}

/** Only names are sent in the handshake (RFC 6066). */
const serverName = (host: string) => (isIP(host) === 0 ? { servername: host } : {})

async function throughProxy(url: URL, proxy: URL): Promise<Socket> {
  const socket = await connectThroughProxy(url, proxy, CONNECT_TIMEOUT_MS)
  if (url.protocol === 'http:') return socket
  return connectTls({ socket, ALPNProtocols: ['http/1.1'], ...serverName(url.hostname) })
}

function connected(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => fail(new DownloadError('transient', 'it did not answer in time')),
      CONNECT_TIMEOUT_MS,
    )
    socket.once('error', fail)
    const settle = () => {
      clearTimeout(timer)
      socket.off('error', fail)
      resolve()
    }
    if (event === 'connect' && !socket.connecting) settle()
    else socket.once(event, settle)
  })
}

interface Reading {
  readonly onread: OnRead
  readonly deliver: (bytes: Buffer) => void
  readonly attach: (socket: Socket) => Connection
}

interface Reader {
  readonly take: TakeBytes
  readonly silentTicks: number
  readonly settle: (result: boolean | Error) => void
}

const TICK_MS = 1000

/** Silence is counted in ticks, not by the clock: while a slow disk blocks this process, nobody else is silent. */
function createReading(buffer: Buffer): Reading {
  let socket: Socket | null = null
  let reader: Reader | null = null
  let early: Buffer[] = []
  let outcome: false | Error | null = null
  let ticks = 0
  let pauses = 0

  const settle = (result: boolean | Error) => {
    reader?.settle(result)
    reader = null
  }
  const end = (result: false | Error) => {
    outcome ??= result
    settle(outcome)
  }
  const pass = (bytes: Buffer): boolean => {
    if (reader === null) {
      // TLS hands over what it has deciphered, whether it was asked to pause or not.
      early.push(Buffer.from(bytes))
      return false
    }
    ticks = 0
    const next = takeFrom(reader, bytes)
    if (next === 0) return true
    if (typeof next !== 'number') settle(next === 'enough' ? true : next)
    else pause(next)
    return false
  }
  const pause = (ms: number) => {
    pauses += 1
    setTimeout(() => {
      pauses -= 1
      ticks = 0
      if (pauses === 0 && reader !== null) socket?.resume()
    }, ms)
  }
  const tick = () => {
    if (pauses === 0) ticks += 1
    if (reader === null || ticks < reader.silentTicks) return
    socket?.destroy()
    end(new DownloadError('transient', 'nothing came any more'))
  }
  const read: Connection['read'] = (take, silenceMs) =>
    new Promise((resolve, reject) => {
      ticks = 0
      const timer = setInterval(tick, TICK_MS)
      reader = {
        take,
        silentTicks: Math.ceil(silenceMs / TICK_MS),
        settle: (result) => {
          clearInterval(timer)
          if (result instanceof Error) reject(result)
          else resolve(result)
        },
      }
      const waiting = early
      early = []
      for (const bytes of waiting) pass(bytes)
      if (reader === null) return
      if (outcome !== null) settle(outcome)
      else if (pauses === 0) socket?.resume()
    })

  return {
    onread: { buffer, callback: (length) => pass(buffer.subarray(0, length)) },
    deliver: (bytes) => {
      if (!pass(bytes)) socket?.pause()
    },
    attach: (connectedSocket) => {
      socket = connectedSocket
      socket.on('error', end)
      socket.on('end', () => end(false))
      socket.on('close', () => end(new DownloadError('transient', 'the connection was cut')))
      return { write: (text) => connectedSocket.write(text), read, close: () => connectedSocket.destroy() }
    },
  }
}

function takeFrom({ take }: Reader, bytes: Buffer): Taken | Error {
  try {
    return take(bytes)
  } catch (error) {
    return error as Error
  }
}
