import type { Plan } from '../../../schema/plan.ts'
import { readKnownSecrets } from '../../shared/logs/known-secrets.ts'
import { logSources } from '../../shared/logs/log-sources.ts'
import type { LogStore } from '../../shared/logs/log-store.ts'
import { openLogStore } from '../../shared/logs/open-log-store.ts'
import type { Redactor } from '../../shared/logs/redact.ts'

/** How old the knowledge of secrets may be: setup resolves them at a boot, beside the sidecar. */
const SECRETS_MAX_AGE_MS = 10_000

/** The logs of a machine as its API shows them: without the values of its secrets, whoever printed them. */
export function openMachineLogs(plan: Plan, redactor: Redactor): LogStore {
  const store = openLogStore({ sources: logSources(plan), bundles: plan.bundles, redactor })
  let readAtMs = Number.NEGATIVE_INFINITY
  const refresh = () => {
    if (performance.now() - readAtMs < SECRETS_MAX_AGE_MS) return
    readAtMs = performance.now()
    redactor.register(readKnownSecrets(plan, process.env))
  }
  return {
    query: (filter, signal) => {
      refresh()
      return store.query(filter, signal)
    },
    lastLines: (service, count) => {
      refresh()
      return store.lastLines(service, count)
    },
    follow: (filter, signal) => {
      refresh()
      return store.follow(filter, signal)
    },
  }
}
