import { createServer, type Server } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createHttpAsk } from '../../runtime/sidecar/probes/http-ask.ts'
import type { ProbeOutcome } from '../../runtime/sidecar/probes/probe.ts'
import {
  createProber,
  gatheredDelayMs,
  type ProbeKind,
  type ProberOptions,
} from '../../runtime/sidecar/probes/prober.ts'
import { freePorts, plannedService, until } from './local-tree.ts'

/** A service that answers after a while, and counts who asks at the same time. */
async function slowService(delayMs: number) {
  const counts = { now: 0, most: 0, all: 0 }
  const [port] = await freePorts(1)
  const server: Server = createServer((_, response) => {
    counts.now += 1
    counts.all += 1
    counts.most = Math.max(counts.most, counts.now)
    setTimeout(() => {
      counts.now -= 1
      response.end('ok')
    }, delayMs)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { counts, port: port!, close }
}

const LIVENESS = { intervalMs: 40, timeoutMs: 5000, failures: 3 }

function proberOf(options: Partial<ProberOptions> & Pick<ProberOptions, 'service'>) {
  const http = createHttpAsk()
  const outcomes: ProbeOutcome[] = []
  const prober = createProber({
    ask: http.ask,
    report: (_, outcome) => {
      outcomes.push(outcome)
      return outcome.ok
    },
    ...options,
  })
  return { prober, outcomes, close: http.close }
}

const httpService = (port: number, more: Partial<ReturnType<typeof plannedService>> = {}) =>
  plannedService({
    name: 'app',
    port,
    address: '127.0.0.1',
    probe: { kind: 'http', path: '/ok', expect: 'status' },
    liveness: LIVENESS,
    ...more,
  })

test('a service is never probed twice at a time, and a slow one delays no other', async () => {
  const slow = await slowService(700)
  const quick = await slowService(1)
  const first = proberOf({ service: httpService(slow.port) })
  const second = proberOf({ service: httpService(quick.port) })
  first.prober.follow('1@0', Date.now())
  second.prober.follow('2@0', Date.now())
  await until('the slow one was probed three times', 20_000, () => first.outcomes.length >= 3)
  first.prober.follow('1@0', Date.now())
  assert.is(slow.counts.most, 1)
  assert.is(quick.counts.most, 1)
  assert.ok(quick.counts.all > 10, `${quick.counts.all} probes of the quick one`)
  for (const each of [first, second]) {
    each.prober.stop()
    await each.close()
  }
  slow.close()
  quick.close()
})

test('an answer to a run that has ended meanwhile is not reported', async () => {
  const slow = await slowService(300)
  const { prober, outcomes, close } = proberOf({ service: httpService(slow.port) })
  prober.follow('1@0', Date.now())
  await until('it is being probed', 5000, () => slow.counts.now === 1)
  prober.stop()
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert.equal(outcomes, [])
  assert.is(slow.counts.all, 1)
  await close()
  slow.close()
})

test('probes tell what they are for', async () => {
  const quick = await slowService(1)
  const kinds: ProbeKind[] = []
  let seen = 0
  const { prober, close } = proberOf({
    service: httpService(quick.port),
    // Not ready, ready, not ready any more.
    report: () => [false, true, false][seen++] ?? false,
    onProbe: (kind) => kinds.push(kind),
  })
  prober.follow('1@0', Date.now())
  await until('four probes', 10_000, () => kinds.length >= 4)
  prober.stop()
  assert.equal(kinds.slice(0, 4), ['startup', 'startup', 'liveness', 'readiness'])
  await close()
  quick.close()
})

const worker = plannedService({
  name: 'redis-worker-gpu0',
  type: 'redis-worker',
  workerId: 'm-worker-0',
  probe: { kind: 'uptime', graceMs: 600 },
  liveness: LIVENESS,
})

test('a worker is ready as soon as it says so in Redis, and no more when it takes that back', async () => {
  let says: boolean | null = null
  const asked: unknown[] = []
  const { prober, outcomes, close } = proberOf({
    service: worker,
    workerSaysReady: (...question) => {
      asked.push(question)
      return says
    },
  })
  const launchedAtMs = Date.now()
  prober.follow('1@0', launchedAtMs)
  await until('it is asked for', 5000, () => outcomes.length > 0)
  assert.equal(asked[0], ['m-worker-0', launchedAtMs])
  assert.not(outcomes.at(-1)!.ok)
  says = true
  await until('it is ready', 5000, () => outcomes.at(-1)!.ok)
  says = false
  await until('it is not', 5000, () => !outcomes.at(-1)!.ok)
  prober.stop()
  await close()
})

test('a worker of which Redis says nothing is ready after its grace time', async () => {
  for (const workerSaysReady of [() => null, undefined]) {
    const { prober, outcomes, close } = proberOf({
      service: worker,
      ...(workerSaysReady === undefined ? {} : { workerSaysReady }),
    })
    const startedMs = Date.now()
    prober.follow('1@0', startedMs)
    await until('it is ready', 5000, () => outcomes.at(-1)?.ok)
    assert.ok(Date.now() - startedMs >= 590)
    prober.stop()
    await close()
  }
})

test('long pauses end at whole seconds, the nearest ones; short ones are left alone', () => {
  const TABLE: [delayMs: number, nowMs: number, expected: number][] = [
    [5000, 0, 5000],
    [5390, 100, 4900],
    [5450, 100, 5900],
    [4600, 900, 5100],
    [1000, 123, 1000],
  ]
  for (const [delayMs, nowMs, expected] of TABLE) assert.is(gatheredDelayMs(delayMs, nowMs), expected)
})

test.run()
