import type { PlannedService } from '../../schema/plan.ts'

/** Names that address several services: `gpu0`, and the key of every service with instances of other names. */
export function planBundles(services: readonly PlannedService[]): Record<string, string[]> {
  const bundles = new Map<string, string[]>()
  const names = new Set(services.map((service) => service.name))
  for (const service of services) {
    const labels = [bundleName(service.key), ...(service.gpu === null ? [] : [`gpu${service.gpu}`])]
    for (const label of labels.filter((name) => !names.has(name))) {
      const members = bundles.get(label) ?? []
      members.push(service.name)
      bundles.set(label, members)
    }
  }
  return Object.fromEntries([...bundles].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Instance names are lower case: `redisWorker` is addressed as `redis-worker`. */
function bundleName(key: string): string {
  return key === 'redisWorker' ? 'redis-worker' : key
}
