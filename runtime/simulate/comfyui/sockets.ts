/** The websockets of /ws: one a client id, messages `{type, data}` to one of them or to all. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'

export interface Sockets {
  /** Completes a handshake. A client id that is already known takes the messages over from its old connection. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, clientId: string | undefined): void
  /** To one client if `clientId` is given and connected, to nobody if it is not connected, to all without one. */
  send(type: string, data: unknown, clientId?: string): void
}

export interface SocketEvents {
  /** Messages that a client gets as soon as it is connected. */
  greet(clientId: string): readonly { type: string; data: unknown }[]
  /** The answer to a client's first message when that is `feature_flags`. */
  features(): unknown
}

export function openSockets(events: SocketEvents): Sockets {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const clients = new Map<string, WebSocket>()
  const post = (client: WebSocket, type: string, data: unknown) => client.send(JSON.stringify({ type, data }))
  return {
    accept(request, socket, head, clientId) {
      server.handleUpgrade(request, socket, head, (client) => {
        const id = clientId || randomUUID().replaceAll('-', '')
        clients.set(id, client)
        client.on('close', () => {
          if (clients.get(id) === client) clients.delete(id)
        })
        client.on('error', () => client.terminate())
        client.once('message', (message) => {
          if (isFeatureFlags(String(message))) post(client, 'feature_flags', events.features())
        })
        for (const { type, data } of events.greet(id)) post(client, type, data)
      })
    },
    send(type, data, clientId) {
      if (clientId === undefined) for (const client of clients.values()) post(client, type, data)
      else {
        const client = clients.get(clientId)
        if (client) post(client, type, data)
      }
    },
  }
}

function isFeatureFlags(text: string): boolean {
  try {
    const message: unknown = JSON.parse(text)
    return typeof message === 'object' && message !== null && (message as { type?: unknown }).type === 'feature_flags'
  } catch {
    return false
  }
}
