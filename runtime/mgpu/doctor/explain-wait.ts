import type { PlannedService } from '../../../schema/plan.ts'
import type { ServiceFacts } from '../service-facts.ts'
import type { DoctorFacts } from './doctor-facts.ts'

/** `mgpu comfyui start 0`, `mgpu nginx start`: as people type it. */
export function commandFor(verb: string, { name, key, type, gpu }: PlannedService): string {
  if (gpu === null) return `mgpu ${name} ${verb}`
  const word = type === 'custom' ? key : (SHORT_NAMES[type] ?? type)
  return `mgpu ${word} ${verb} ${gpu}`
}

const SHORT_NAMES: Readonly<Partial<Record<PlannedService['type'], string>>> = {
  automatic1111: 'a1111',
  'redis-worker': 'worker',
}

/** `for comfyui-gpu0, which waits for models, which is starting: 3 of 64`: down to whoever all wait for. */
export function explainWait(name: string, facts: Pick<DoctorFacts, 'services' | 'taskProgress'>): string {
  const find = (wanted: string): ServiceFacts | undefined =>
    facts.services.find(({ service }) => service.name === wanted)
  const seen = new Set<string>()
  const explain = (waiting: string): string => {
    seen.add(waiting)
    const causes = (find(waiting)?.service.waitsFor ?? []).filter(
      (other) => find(other)?.ready === false && !seen.has(other),
    )
    return causes.map((cause) => `for ${cause}, which ${describe(cause)}`).join(' and ')
  }
  const describe = (cause: string): string => {
    const found = find(cause)
    const deeper = found?.state === 'waiting' ? explain(cause) : ''
    if (deeper !== '') return `waits ${deeper}`
    const progress = facts.taskProgress.get(cause)
    const because = progress ?? found?.reason ?? null
    return `is ${found?.state ?? 'unknown'}${because === null ? '' : `: ${because}`}`
  }
  return explain(name)
}
