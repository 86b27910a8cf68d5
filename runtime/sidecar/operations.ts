/** Who asked for a change, for the log and the events: `http 10.0.0.7`, `redis`, `mgpu root`. */
export interface Operator {
  readonly name: string
  readonly reason?: string
}

export type OperationResult =
  | { readonly ok: true; readonly services: readonly string[] }
  | {
      readonly ok: false
      readonly code: 'NOT_FOUND' | 'NOT_SUPERVISED' | 'REFUSED' | 'FAILED'
      readonly message: string
    }

export type WaitResult =
  | { readonly ok: true; readonly tookMs: number }
  /** `state` and `message`: why it is not there, in the words of its state. */
  | { readonly ok: false; readonly code: 'TIMEOUT' | 'FAILED' | 'STOPPED'; readonly message: string }

/**
 * What an operator can do with a service, or with a bundle of them (`gpu0`, `comfyui`): orders to its supervisor. A
 * manual start or restart clears the record of deaths and a give-up; a stop is respected until the next start.
 */
export interface Operations {
  readonly start: (name: string, operator: Operator) => OperationResult
  readonly stop: (name: string, operator: Operator) => OperationResult
  readonly restart: (name: string, operator: Operator) => OperationResult
  /** Waits until every service of `name` that runs after the operation is ready, or cannot become so. */
  readonly whenReady: (name: string, timeoutMs: number) => Promise<WaitResult>
}
