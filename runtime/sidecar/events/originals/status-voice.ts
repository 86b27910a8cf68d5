import type { RedisCommand } from '../redis-connection.ts'
import type { RedisVoice, StatusCause } from '../redis-voice.ts'
import type { MachineStatusMessage, UpdateType } from './machine-status.ts'

export function statusChannel(machine: string): string {
  return `machine:status:${machine}`
}

const UPDATE_TYPES: Readonly<Record<StatusCause, UpdateType>> = {
  initial: 'initial',
  periodic: 'periodic',
  changed: 'event_driven',
}

/**
 * The second generation: the whole status on `machine:status:<id>`, at once after a change and at each interval. A stop is
 * said twice, since nobody passes `shutdown` on.
 */
export function statusVoice(
  { machine, bootId }: { readonly machine: string; readonly bootId: string },
  statusOf: (updateType: UpdateType) => MachineStatusMessage,
): RedisVoice {
  const publish = (updateType: UpdateType): RedisCommand => [
    'publish',
    statusChannel(machine),
    JSON.stringify(statusOf(updateType)),
  ]
  return {
    isForOthers: true,
    event: (event) => {
      // The stop of an earlier boot, told late, says nothing of this one.
      if (event.type !== 'machine.stopping' || event.bootId !== bootId) return []
      return [publish('event_driven'), publish('shutdown')]
    },
    status: (cause) => [publish(UPDATE_TYPES[cause])],
  }
}
