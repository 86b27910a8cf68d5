/** A machine on which something goes wrong, and what it tells of that. */
import { writeFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import type { MachineEvent } from '../../runtime/shared/machine-event.ts'
import type { Plan } from '../../schema/plan.ts'
import { until } from '../runtime/local-tree.ts'
import {
  type Draft,
  type Json,
  type MachineTree,
  portOf,
  supervise,
  writeMachine,
} from '../runtime/supervised-machine.ts'

export const budget = (maxAttempts: number) => ({
  maxAttempts,
  windowMs: 60_000,
  backoff: { initialMs: 0, maxMs: 0, factor: 1 },
})
export const web = (name: string, more: Partial<Draft> = {}): Draft => ({
  name,
  http: true,
  restart: budget(50),
  ...more,
})

export async function withMachine(
  drafts: readonly Draft[],
  use: (tree: MachineTree) => Promise<void>,
  change?: (plan: Plan, tree: MachineTree) => Plan,
): Promise<void> {
  const tree = await writeMachine(drafts)
  if (change !== undefined) writeFileSync(tree.planFile, JSON.stringify(change(tree.plan, tree)))
  const { stop } = await supervise(tree)
  try {
    await use(tree)
  } finally {
    await stop()
  }
}

/** All events of the machine, page by page. */
export async function eventsOf({ ask }: MachineTree): Promise<readonly MachineEvent[]> {
  const events: MachineEvent[] = []
  for (;;) {
    const { body } = await ask(`/events?follow=0&limit=1000&since=${events.at(-1)?.seq ?? 0}`)
    if (!Array.isArray(body.events) || body.events.length === 0) return events
    events.push(...body.events)
  }
}

/** What was told of a service, in words: "service.failed SIGKILL". */
export async function storyOf(tree: MachineTree, name: string): Promise<readonly string[]> {
  const events = (await eventsOf(tree)).filter(({ service, type }) => service === name && type.startsWith('service.'))
  return events.map(({ type, context }) => [type.slice(8), context?.reason].filter(Boolean).join(' '))
}

export function untilStory(tree: MachineTree, name: string, expected: readonly string[]): Promise<unknown> {
  let told: readonly string[] = []
  const isTold = async () => {
    told = await storyOf(tree, name).catch(() => [])
    return JSON.stringify(told) === JSON.stringify(expected)
  }
  return until(`the story of "${name}"`, 20_000, isTold).catch(() => assert.equal(told, expected))
}

export function untilOtherRun(tree: MachineTree, name: string, pid: number, timeoutMs = 20_000): Promise<Json> {
  return until(`another run of "${name}" is ready`, timeoutMs, async () => {
    const { body } = await tree.ask(`/services/${name}`).catch(() => ({ body: null }))
    return body?.state === 'ready' && body.pid !== pid ? body : null
  })
}

export const poke = (tree: MachineTree, name: string, path: string) =>
  fetch(`http://127.0.0.1:${portOf(tree, name)}${path}`).catch(() => null)
