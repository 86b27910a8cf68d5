import { connect as connectTcp, isIP, type Socket } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { type BufferPool, createBufferPool } from './buffer-pool.ts'
import { DownloadError } from './download-error.ts'
import { connectThroughProxy, proxyFor } from './proxy.ts'

/** What is to happen after some bytes: go on, go on after something, or read no more. */
export type Taken = 'more' | 'enough' | Promise<unknown>

/**
 * Gets bytes as they come. `lasting` ones stay as they are until the promise that is given for them resolves; others are
 * overwritten at once. After a promise little more comes before it resolves.
 */
export type TakeBytes = (bytes: Buffer, isLasting: boolean) => Taken

/**
 * A connection whose bytes arrive in two buffers that take turns: while one is written to the disk, the other is filled.
 * Reads are as large as a buffer, so that most of the work is the kernel's: a general HTTP client takes a whole core for
 * 700 MB/s in pieces of 64 KiB, and 140 MB of memory.
 */
export interface Connection {
  readonly write: (text: string) => void
  /**
   * Passes on what arrives until `take` has enough, which gives true, or the other side ends, which gives false. Rejects
   * where the connection breaks, is silent for too long, or a promise that `take` gave is rejected.
   */
  readonly read: (take: TakeBytes, silenceMs: number) => Promise<boolean>
  readonly close: () => void
}

export type Environment = Readonly<Record<string, string | undefined>>

const CONNECT_TIMEOUT_MS = 20_000

/** A record of TLS has 16 KiB (RFC 8446, section 5.1). */
const TLS_BYTES = 64 * 1024

/** Connects to the host of a URL: directly, or through the proxy that the environment names. */
export async function openConnection(url: URL, pool: BufferPool, environment: Environment): Promise<Connection> {
  const proxy = proxyFor(url, environment)
  const isTls = url.protocol === 'https:'
  const turns = createTurns(isTls ? createBufferPool(TLS_BYTES) : pool)
  const reading = createReading(turns)
  try {
    // What TLS has deciphered comes in pieces of its own, whether there is room or not: only plain bytes can stay.
    const onread = { buffer: turns.next, callback: isTls ? reading.passing : reading.lasting }
    const socket = proxy === null ? connectDirectly(url, onread) : await throughProxy(url, proxy)
    if (proxy !== null) socket.on('data', reading.deliver)
    await connected(socket, isTls ? 'secureConnect' : 'connect')
    return reading.attach(socket)
  } catch (error) {
    turns.close()
    throw error
  }
}

/** TLS takes a while to load, and what is set up at a boot needs none. */
const connectTls = (options: ConnectionOptions): TLSSocket => process.getBuiltinModule('node:tls').connect(options)

type OnRead = { readonly buffer: () => Buffer; readonly callback: (length: number) => boolean }

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

/** Two buffers of which one is read into; each can be held for a while. */
interface Turns {
  /** The one that is read into next. */
  readonly next: () => Buffer
  /** Keeps the current one as it is until `until` settles, and goes on to the other; `onFree` hears when it is free. */
  readonly hold: (until: Promise<unknown>, onFree: () => void) => void
  /** Whether the current one is still held. */
  readonly isFull: () => boolean
  readonly close: () => void
}

function createTurns(pool: BufferPool): Turns {
  const buffers = [pool.take(), pool.take()] as const
  const held = [false, false]
  let current = 0
  let isClosed = false
  const giveBack = (index: number) => pool.give(buffers[index]!)
  return {
    next: () => buffers[current]!,
    isFull: () => held[current]!,
    hold: (until, onFree) => {
      const index = current
      held[index] = true
      current = 1 - index
      const free = () => {
        held[index] = false
        if (isClosed) giveBack(index)
        else onFree()
      }
      until.then(free, free)
    },
    close: () => {
      if (isClosed) return
      isClosed = true
      for (const index of [0, 1]) if (!held[index]) giveBack(index)
    },
  }
}

interface Reading {
  /** For `onread`, with bytes that stay in their buffer, and with such as do not. */
  readonly lasting: OnRead['callback']
  readonly passing: OnRead['callback']
  /** For the events of a socket that has buffers of its own. */
  readonly deliver: (bytes: Buffer) => void
  readonly attach: (socket: Socket) => Connection
}

interface Reader {
  readonly take: TakeBytes
  readonly silentTicks: number
  readonly settle: (result: boolean | Error) => void
}

const TICK_MS = 1000

/** Silence is counted in ticks, not by the clock: while this process waits for a slow disk, nobody else is silent. */
function createReading(turns: Turns): Reading {
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
  const resume = () => {
    ticks = 0
    if (reader !== null && pauses === 0 && !turns.isFull()) socket?.resume()
  }
  const pauseUntil = (until: Promise<unknown>) => {
    pauses += 1
    until.then(() => {
      pauses -= 1
      resume()
    }, settle)
  }
  /** What is to happen next; bytes that come before anybody wants them are kept. */
  const offer = (bytes: Buffer, isLasting: boolean): Taken => {
    if (reader === null) {
      early.push(Buffer.from(bytes))
      return 'enough'
    }
    ticks = 0
    const next = takeFrom(reader, bytes, isLasting)
    if (next === 'more' || next instanceof Promise) return next
    settle(next === 'enough' ? true : next)
    return 'enough'
  }
  const passing = (bytes: Buffer, isLasting: boolean): boolean => {
    const next = offer(bytes, isLasting)
    if (next instanceof Promise) pauseUntil(next)
    return next === 'more'
  }
  const tick = () => {
    if (pauses === 0 && !turns.isFull()) ticks += 1
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
      for (const bytes of waiting) passing(bytes, true)
      if (reader !== null && outcome !== null) settle(outcome)
      else resume()
    })

  return {
    lasting: (length) => {
      const next = offer(turns.next().subarray(0, length), true)
      if (!(next instanceof Promise)) return next === 'more'
      next.catch(settle)
      turns.hold(next, resume)
      return !turns.isFull()
    },
    passing: (length) => passing(turns.next().subarray(0, length), false),
    deliver: (bytes) => {
      if (!passing(bytes, true)) socket?.pause()
    },
    attach: (connectedSocket) => {
      socket = connectedSocket
      socket.on('error', end)
      socket.on('end', () => end(false))
      socket.on('close', () => end(new DownloadError('transient', 'the connection was cut')))
      const close = () => {
        connectedSocket.destroy()
        turns.close()
      }
      return { write: (text) => connectedSocket.write(text), read, close }
    },
  }
}

function takeFrom({ take }: Reader, bytes: Buffer, isLasting: boolean): Taken | Error {
  try {
    return take(bytes, isLasting)
  } catch (error) {
    return error as Error
  }
}
