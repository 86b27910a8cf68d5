import type { OperationResult, Operations, Operator, WaitResult } from '../../operations.ts'
import { json } from '../answer.ts'
import { isoTime } from '../describe-service.ts'
import { type Endpoint, endpoint, type Question, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { servicesNamed } from '../names.ts'
import { integer, oneOf } from '../query.ts'
import { notYet, Refusal } from '../refusal.ts'
import { createSlots } from '../slots.ts'

export type Verb = 'start' | 'stop' | 'restart'

/** Longer than any start that a machine file allows is of no use; model downloads take an hour. */
const MAX_WAIT_MS = 2 * 3_600_000
const DEFAULT_WAIT_MS = 300_000
const MAX_WAITERS = 32

/** `POST /services/{name}/start|stop|restart`, for a service or a bundle. */
export function operationRoutes(parts: HttpParts): readonly Route[] {
  const waiters = createSlots(MAX_WAITERS, 'waits for readiness')
  const waitable = (verb: 'start' | 'restart'): Endpoint =>
    endpoint({
      ...CHANGE,
      query: { wait: oneOf(['ready'], null), timeoutMs: integer({ min: 1, max: MAX_WAIT_MS }, null) },
      run: ({ wait, timeoutMs }, question) => {
        if (wait === null && timeoutMs !== null) {
          throw new Refusal(400, 'BAD_PARAMETER', 'cannot use "timeoutMs" without "wait=ready"')
        }
        if (wait === null) return order(parts, verb, question)
        return waiters.use(() => orderAndWait(parts, verb, question, timeoutMs ?? DEFAULT_WAIT_MS))
      },
    })
  const stop = endpoint({ ...CHANGE, query: {}, run: (_, question) => order(parts, 'stop', question) })
  return [
    { path: '/services/{name}/start', methods: { POST: waitable('start') } },
    { path: '/services/{name}/stop', methods: { POST: stop } },
    { path: '/services/{name}/restart', methods: { POST: waitable('restart') } },
  ]
}

/** What all endpoints that change something have in common. */
export const CHANGE = { access: 'token', changes: true, fields: ['reason'] } as const

function order(parts: HttpParts, verb: Verb, question: Question) {
  const services = operate(parts, verb, question.name, operatorOf(question))
  return json(202, outcome(parts, verb, question.name, services))
}

async function orderAndWait(parts: HttpParts, verb: Verb, question: Question, timeoutMs: number) {
  const services = operate(parts, verb, question.name, operatorOf(question))
  question.waitsLong()
  const waited = await unlessOver(question.signal(), operationsOf(parts).whenReady(question.name, timeoutMs))
  if (!waited.ok) throw refusalOfWait(waited)
  const { tookMs } = waited
  return json(200, { ...outcome(parts, verb, question.name, services), ready: true, tookMs: Math.round(tookMs) })
}

/** Nobody waits for somebody who has left: his place is free for others. */
function unlessOver<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const over = new Promise<never>((_, reject) => {
    const leave = () => reject(new Refusal(400, 'BAD_REQUEST', 'cannot answer: the client has left'))
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  return Promise.race([work, over])
}

function outcome({ view }: HttpParts, verb: Verb, service: string, services: readonly string[]): object {
  return { service, action: verb, services, timestamp: isoTime(view.nowMs()) }
}

/** Gives the order; gives the services that it went to. @throws Refusal where it could not be given. */
export function operate(parts: HttpParts, verb: Verb, name: string, operator: Operator): readonly string[] {
  const operations = operationsOf(parts)
  servicesNamed(parts.view.plan, name)
  const result = operations[verb](name, operator)
  if (!result.ok) throw refusalOf(result)
  return result.services
}

export function operationsOf({ view }: HttpParts): Operations {
  const operations = view.operations()
  if (operations === null) throw notYet('the part that gives orders')
  return operations
}

export function operatorOf({ client, fields }: Question): Operator {
  const { reason } = fields
  return { name: `http ${client}`, ...(reason === undefined || reason === '' ? {} : { reason }) }
}

const ORDER_STATUS = { NOT_FOUND: 404, NOT_SUPERVISED: 409, REFUSED: 409, FAILED: 500 } as const

function refusalOf({ code, message }: Extract<OperationResult, { ok: false }>): Refusal {
  return new Refusal(ORDER_STATUS[code], code, message)
}

function refusalOfWait({ code, message }: Extract<WaitResult, { ok: false }>): Refusal {
  return new Refusal(code === 'TIMEOUT' ? 504 : 409, code, message)
}
