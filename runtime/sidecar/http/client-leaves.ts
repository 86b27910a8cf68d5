import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Who wants to know of the end of a connection: one listener on it, however many requests it carries. */
const waiting = new WeakMap<Socket, Set<AbortController>>()

/**
 * Says that the answer is over, sent or not. The connection is looked at as well: Node never closes an answer that waits
 * behind another one of its connection when that ends.
 */
export function overSignal({ socket }: IncomingMessage, response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  if (socket.destroyed || response.destroyed) {
    controller.abort()
    return controller.signal
  }
  const controllers = controllersOf(socket)
  controllers.add(controller)
  response.once('close', () => {
    controllers.delete(controller)
    controller.abort()
  })
  return controller.signal
}

function controllersOf(socket: Socket): Set<AbortController> {
  const known = waiting.get(socket)
  if (known !== undefined) return known
  const controllers = new Set<AbortController>()
  waiting.set(socket, controllers)
  socket.once('close', () => {
    for (const controller of controllers) controller.abort()
  })
  return controllers
}
