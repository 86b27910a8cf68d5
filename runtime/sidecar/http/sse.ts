/** Server-sent events, as browsers read them: https://html.spec.whatwg.org/multipage/server-sent-events.html */

/** Goes first: how long a client waits before it connects again. */
export const SSE_PREAMBLE = 'retry: 1000\n\n'

/** A comment; clients drop it, and proxies see that the connection lives. */
export const SSE_HEARTBEAT = ': still here\n\n'

/** A message for `onmessage`. JSON has no line breaks of its own. */
export function sseData(data: object, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}

/** A message for listeners of that name only. */
export function sseNamed(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
