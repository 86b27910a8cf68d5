import type { Plan } from '../../../schema/plan.ts'
import type { LogSource } from './recognise.ts'

/** The directories in which the loggers of a machine keep its lines. */
export function logSources({ services, proxy }: Pick<Plan, 'services' | 'proxy'>): LogSource[] {
  return services.flatMap(({ name, type, gpu, logs }) => {
    const own: LogSource = { service: name, gpu, directory: logs.directory, isAccessLog: false }
    if (type !== 'nginx' || proxy === null) return [own]
    return [{ ...own, directory: proxy.accessLogDirectory, isAccessLog: true }, own]
  })
}
