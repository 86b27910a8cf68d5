import type { Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { createUsageReader } from '../process-usage.ts'
import { aboutRoutes } from './about.ts'
import { eventRoutes } from './events.ts'
import { healthRoutes } from './health.ts'
import { logRoutes, logSlots } from './logs.ts'
import { operationRoutes } from './operations.ts'
import { originalRoutes } from './originals.ts'
import { serviceRoutes } from './services.ts'
import { statusRoutes } from './status.ts'

/** Every route of the API. schema/openapi.json describes the same ones. */
export function allRoutes(parts: HttpParts): readonly Route[] {
  const usageOf = createUsageReader(parts.view.nowMs)
  const slots = logSlots()
  return [
    ...healthRoutes(parts),
    ...statusRoutes(parts, usageOf),
    ...serviceRoutes(parts, slots),
    ...operationRoutes(parts),
    ...logRoutes(parts, slots),
    ...eventRoutes(parts),
    ...aboutRoutes(parts),
    ...originalRoutes(parts, slots, usageOf),
  ]
}
