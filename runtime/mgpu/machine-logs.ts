import type { Environment } from '../../schema/interpolation.ts'
import type { Plan } from '../../schema/plan.ts'
import { readKnownSecrets } from '../shared/logs/known-secrets.ts'
import { logSources } from '../shared/logs/log-sources.ts'
import type { LogStore } from '../shared/logs/log-store.ts'
import { openLogStore } from '../shared/logs/open-log-store.ts'
import { createRedactor } from '../shared/logs/redact.ts'

/** The logs of a machine, without the values of its secrets as far as this user may know them. */
export function openMachineLogs(plan: Plan, environment: Environment): LogStore {
  const redactor = createRedactor(readKnownSecrets(plan, environment))
  return openLogStore({ sources: logSources(plan), bundles: plan.bundles, redactor })
}
