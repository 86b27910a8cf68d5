import type { Plan } from '../../schema/plan.ts'

export interface GraphNode {
  readonly name: string
  readonly gpu: number | null
  readonly port: number | null
  /** 1 for what stops first; services of one number stop at the same time. */
  readonly stopStep: number
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
  /** `waits`: `from` starts when `to` is ready, and stops before it. `stops`: it only stops before it. */
  readonly kind: 'waits' | 'stops'
}

export interface ServiceGraph {
  readonly title: string
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** What waits for what, and in what order a stop goes. Edges that follow from others are left out. */
export function serviceGraph(plan: Plan): ServiceGraph {
  const after = new Map(plan.services.map(({ name, stopsBefore }) => [name, new Set(stopsBefore)]))
  const steps = stopSteps(after)
  const edges = plan.services.flatMap(({ name, waitsFor }) => {
    const waits = waitsFor.map((to): GraphEdge => ({ from: name, to, kind: 'waits' }))
    const direct = [...(after.get(name) ?? [])].filter((to) => !waitsFor.includes(to) && !leadsTo(after, name, to))
    return [...waits, ...direct.map((to): GraphEdge => ({ from: name, to, kind: 'stops' }))]
  })
  const nodes = plan.services.map(({ name, gpu, port }) => ({ name, gpu, port, stopStep: steps.get(name) ?? 1 }))
  return { title: plan.machine.id, nodes, edges }
}

type Successors = ReadonlyMap<string, ReadonlySet<string>>

/** Whether there is a way from one service to another that is longer than one edge. */
function leadsTo(after: Successors, from: string, to: string): boolean {
  const seen = new Set<string>()
  const open = [...(after.get(from) ?? [])].filter((name) => name !== to)
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === to) return true
    if (seen.has(name)) continue
    seen.add(name)
    open.push(...(after.get(name) ?? []))
  }
  return false
}

/** The step of a service: one more than the latest of those that stop before it. */
function stopSteps(after: Successors): Map<string, number> {
  const steps = new Map([...after.keys()].map((name) => [name, 1]))
  // Each round settles at least one more service; a cycle, which is an error of the machine, ends with the rounds.
  for (let round = 0; round < steps.size; round += 1) {
    let isSettled = true
    for (const [name, successors] of after) {
      for (const next of successors) {
        const step = (steps.get(name) ?? 1) + 1
        if (!steps.has(next) || (steps.get(next) ?? 0) >= step) continue
        steps.set(next, step)
        isSettled = false
      }
    }
    if (isSettled) break
  }
  return steps
}
