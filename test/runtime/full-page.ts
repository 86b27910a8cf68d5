import { readAccessLine } from '../../runtime/sidecar/metrics/access-line.ts'
import { accessRoutes } from '../../runtime/sidecar/metrics/access-routes.ts'
import { countAccess, emptyAccessTotals } from '../../runtime/sidecar/metrics/access-totals.ts'
import type { ExpositionFormat } from '../../runtime/sidecar/metrics/exposition.ts'
import { renderMetrics } from '../../runtime/sidecar/metrics/metrics-sections.ts'
import { createProbeDurations } from '../../runtime/sidecar/metrics/probe-durations.ts'
import { accessLine } from '../fixtures/access-line.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { busyView, collectedFixture } from './metrics-view.ts'

/** A page that has every family there is. */
export function fullPage(format: ExpositionFormat = 'text'): string {
  const plan = planFixture({ types: ['comfyui', 'redis-worker', 'ollama'] })
  const known = accessRoutes(plan.proxy!)
  const totals = emptyAccessTotals()
  for (const route of known) countAccess(totals, known, readAccessLine(accessLine({ route }))!)
  const probes = createProbeDurations(plan.services)
  for (const { name } of plan.services) probes.onProbe(name, 'liveness', 12, true)
  const access = { totals, behindBytes: 0, version: 1 }
  return renderMetrics(busyView(plan), collectedFixture(plan, { probes, access }), format)
}
