import type { LogStore } from '../../shared/logs/log-store.ts'
import type { MetricsPage } from '../metrics/metrics-page.ts'
import type { SidecarView } from '../view.ts'

/** What HTTP answers from. Parts that are not loaded yet are `null`: what needs them is answered with 503 until then. */
export interface HttpParts {
  readonly view: SidecarView
  readonly logs: () => LogStore | null
  /** The page of metrics for the `Accept` header of a request. */
  readonly metrics: () => MetricsPage | null
  /** Publishes the status of the machine to Redis now. */
  readonly publishStatus: () => (() => void) | null
}
