import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type HttpMachine, logLine, startHttpMachine, WITH_TOKEN } from './http-machine.ts'
import { until } from './local-tree.ts'
import { createRandom, type Random, randomRequest } from './random-requests.ts'

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 10_000)
const AT_ONCE = 24

/** What may be answered with a status from 500 on: what the API says of itself, and a verdict. */
const MEANT = /"code":"(BUSY|TIMEOUT|STARTING)"|"healthy":false|"ready":false/

/** Sends requests one behind the other on one connection, leaves some day, and gives all that came back. */
function converse(
  { port }: HttpMachine,
  requests: readonly Buffer[],
  patienceMs: number,
  abrupt: boolean,
): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect({ host: '127.0.0.1', port })
    const leave = () => (abrupt ? socket.resetAndDestroy() : socket.destroy())
    let timer: NodeJS.Timeout
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(leave, patienceMs)
    }
    socket.on('connect', () => {
      socket.write(Buffer.concat(requests))
      wait()
    })
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      // A stream goes on for ever.
      if (chunks.length < 20) wait()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(chunks).toString('latin1'))
    })
  })
}

async function bombard(machine: HttpMachine, random: Random) {
  const statuses = new Map<string, number>()
  const unmeant: unknown[] = []
  let left = REQUESTS
  const work = async () => {
    while (left > 0) {
      const count = Math.min(left, random.chance(0.15) ? random.below(20) + 1 : 1)
      left -= count
      const requests = Array.from({ length: count }, (_, index) => randomRequest(random, index === count - 1))
      const text = await converse(machine, requests, random.chance(0.1) ? random.below(10) : 150, random.chance(0.2))
      for (const answer of text.split(/(?=HTTP\/1\.1 \d\d\d )/)) {
        const status = answer.slice(9, 12)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        // An answer to HEAD has no body to be looked at.
        if (!status.startsWith('5') || MEANT.test(answer) || answer.endsWith('\r\n\r\n')) continue
        const asked = requests.map((each) => JSON.stringify(each.toString('latin1', 0, 300)))
        unmeant.push(`${asked.join('\n')} -> ${answer}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return { statuses, unmeant }
}

/** The places of all streams of logs, taken at once: one that was lost would be missing. */
async function freePlaces({ port }: HttpMachine): Promise<number> {
  const controller = new AbortController()
  const follow = () =>
    fetch(`http://127.0.0.1:${port}/logs?follow=1`, { headers: WITH_TOKEN, signal: controller.signal })
  const answers = await Promise.all(Array.from({ length: 32 }, follow))
  controller.abort()
  return answers.filter(({ status }) => status === 200).length
}

const openFiles = () => readdirSync('/proc/self/fd').length

test(`${REQUESTS} random requests never break it (FUZZ_SEED=${SEED})`, async () => {
  const machine = await startHttpMachine({
    lines: [logLine('comfyui-gpu0', 'a'), logLine('nginx', 'b')],
    limits: { headersMs: 1000, requestMs: 2000, keepAliveMs: 500 },
    streamTimes: { heartbeatMs: 50, stallMs: 500 },
  })
  for (let index = 0; index < 50; index += 1) machine.parts.journal?.append({ type: 'health.digest' })
  await machine.ask('/openapi.json')
  const filesBefore = openFiles()
  const { statuses, unmeant } = await bombard(machine, createRandom(SEED))
  const after = await machine.ask('/version').catch((error: unknown) => ({ status: String(error) }))
  const isQuiet = until('no connection is left', 10_000, () => openFiles() <= filesBefore)
  await isQuiet.catch((error: unknown) => unmeant.push(error))
  const places = await freePlaces(machine)
  await machine.close()
  assert.equal(machine.errors, [], `FUZZ_SEED=${SEED}`)
  assert.equal(unmeant.slice(0, 3), [], `FUZZ_SEED=${SEED}`)
  assert.equal([after.status, places], [200, 32], 'it still answers, and has a place for every stream')
  const told = [...statuses].map(([status, count]) => `${count} x ${status}`).join(', ')
  if (process.env.FUZZ_TELL) console.log(told)
  for (const status of ['200', '202', '400', '401', '403', '404', '405', '413', '415', '421', '431']) {
    assert.ok(statuses.has(status), `${status} never came (FUZZ_SEED=${SEED}): ${told}`)
  }
})

test.run()
