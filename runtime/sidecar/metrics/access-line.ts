/** What is counted of one request. */
export interface AccessEntry {
  /** As nginx names it; empty where no route answers. */
  readonly route: string
  readonly status: number
  readonly seconds: number
  readonly bytesReceived: number
  readonly bytesSent: number
}

/** Reads a line of nginx's JSON access log; `null` for one that is not whole or makes no sense. */
export function readAccessLine(line: string): AccessEntry | null {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { route, status, requestSeconds, bytesReceived, bytesSent } = value as Record<string, unknown>
  if (typeof route !== 'string' || !isStatus(status)) return null
  if (!isAmount(requestSeconds) || !isAmount(bytesReceived) || !isAmount(bytesSent)) return null
  return { route, status, seconds: requestSeconds, bytesReceived, bytesSent }
}

function isStatus(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 100 && (value as number) <= 599
}

/** Far beyond any request, so that no line can spoil a sum for good. */
const LARGEST_AMOUNT = 1e15

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= LARGEST_AMOUNT
}
