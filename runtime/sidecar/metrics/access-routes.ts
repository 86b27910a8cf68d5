import type { PlannedProxy } from '../../../schema/plan.ts'

/** A request that no route of the machine answers. */
export const NO_ROUTE = 'none'

/** A route that the plan does not know: nginx still runs with the configuration of an older one. */
export const OTHER_ROUTE = 'other'

/** The routes by which requests are counted, as nginx writes them into its log: a closed set, made from the plan alone. */
export function accessRoutes({ routes, gpuPorts, healthPath }: PlannedProxy): ReadonlySet<string> {
  return new Set([
    '/',
    healthPath,
    ...routes.flatMap(({ kind, path }) => (kind === 'service' ? [path, `${path}health`] : [path])),
    ...gpuPorts.map(({ port }) => `:${port}`),
    NO_ROUTE,
    OTHER_ROUTE,
  ])
}
