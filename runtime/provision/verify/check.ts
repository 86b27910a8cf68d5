/** The result of one look at the machine. */
export interface CheckResult {
  readonly check: string
  readonly service: string
  readonly result: 'ok' | 'failed' | 'skipped'
  /** What was seen, or what is wrong. */
  readonly detail: string
  readonly tookMs: number
}

/** One look: gives what it saw, throws what is wrong, and says `skip` where it would only be in the way. */
export interface Check {
  readonly check: string
  readonly service: string
  readonly look: () => Promise<string | { readonly skip: string }>
}

/** Runs a check. It never throws. */
export async function perform({ check, service, look }: Check): Promise<CheckResult> {
  const startedMs = performance.now()
  const settle = (result: CheckResult['result'], detail: string): CheckResult => ({
    check,
    service,
    result,
    detail,
    tookMs: Math.round(performance.now() - startedMs),
  })
  try {
    const seen = await look()
    return typeof seen === 'string' ? settle('ok', seen) : settle('skipped', seen.skip)
  } catch (error) {
    return settle('failed', (error as Error).message)
  }
}
