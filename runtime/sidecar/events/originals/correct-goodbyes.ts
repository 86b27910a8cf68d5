import type { SidecarView } from '../../view.ts'
import type { Outbox } from '../outbox.ts'
import { STARTUP_CHANNEL, type StartupVoice } from './startup-voice.ts'

/**
 * A job worker that ends says `shutdown` with the id of its machine, which the first job API takes for the end of the
 * machine: the machine says again that it is there.
 */
export function correctGoodbyes(view: SidecarView, startup: StartupVoice, ask: Outbox['ask']) {
  const { plan } = view
  const ids = new Set(plan.services.map(({ workerId }) => workerId))
  const onMessage = (text: string) => {
    if (!text.includes('"shutdown"') || !text.includes(plan.machine.id) || view.machine().stopping) return
    try {
      const { event_type, worker_id } = JSON.parse(text) as Record<string, unknown>
      if (event_type !== 'shutdown' || !ids.has(String(worker_id))) return
    } catch {
      return
    }
    ask(startup.sayAgain(view.nowMs())).catch(() => {})
  }
  return { channel: STARTUP_CHANNEL, onMessage }
}
