import type { EventDraft } from '../../shared/machine-event.ts'
import type { ResourceSnapshot } from '../resources/resource-snapshot.ts'
import type { Facts } from './derive-events.ts'
import type { Told } from './told.ts'

/** A fact that needs a person. `clears` is false while it is no reason to raise the alarm, yet not over either. */
interface Alarm {
  readonly id: string
  readonly gpu?: number
  readonly raised: boolean
  readonly cleared: boolean
  readonly message: string
}

const GiB = 2 ** 30

/** Raised below the first, cleared above the second: an alarm that comes and goes each second helps nobody. */
const DISK = {
  raise: { bytes: GiB, smallShare: 0.1, share: 0.02 },
  clear: { bytes: 2 * GiB, smallShare: 0.2, share: 0.04 },
}
const INODES = { raise: 1000, clear: 10_000 }
const CELSIUS = { raise: 90, clear: 82 }

/** The alarms that begin or end with these resources. */
export function deriveAlarms(told: Told, { resources, plan }: Pick<Facts, 'resources' | 'plan'>): EventDraft[] {
  if (resources === null) return []
  const alarms = [
    ...gpuAlarms(
      resources,
      plan.gpus.map(({ index }) => index),
    ),
    ...diskAlarms(resources),
  ]
  const changes = alarms.flatMap((alarm): EventDraft[] => {
    if (alarm.raised && !told.alarms.has(alarm.id)) return [alarmEvent(alarm, 'raised')]
    return alarm.cleared && told.alarms.has(alarm.id) ? [alarmEvent(alarm, 'cleared')] : []
  })
  return [...changes, ...oomEvents(told, resources)]
}

function alarmEvent({ id, gpu, message }: Alarm, status: 'raised' | 'cleared'): EventDraft {
  return {
    type: 'machine.alarm',
    ...(gpu === undefined ? {} : { gpu }),
    status,
    ...(status === 'raised'
      ? { error: { code: id.split(':', 1)[0]!.toUpperCase().replaceAll('-', '_'), message } }
      : {}),
    context: { alarm: id },
  }
}

function gpuAlarms({ gpus, gpuProblem, missingGpus }: ResourceSnapshot, planned: readonly number[]): Alarm[] {
  const simple = (id: string, raised: boolean, message: string, gpu?: number): Alarm => ({
    id,
    raised,
    cleared: !raised,
    message,
    ...(gpu === undefined ? {} : { gpu }),
  })
  return [
    simple('gpus-unreadable', gpuProblem !== null, `cannot read the GPUs: ${gpuProblem}`),
    ...planned.map((index) =>
      simple(`gpu-missing:${index}`, missingGpus.includes(index), `GPU ${index} is declared and not there`, index),
    ),
    ...gpus.flatMap(({ index, eccUncorrected, xidErrors, temperatureCelsius }) => [
      simple(`gpu-ecc:${index}`, (eccUncorrected ?? 0) > 0, `GPU ${index} has uncorrected memory errors`, index),
      simple(`gpu-xid:${index}`, (xidErrors ?? 0) > 0, `GPU ${index} reported an XID error`, index),
      {
        id: `gpu-hot:${index}`,
        gpu: index,
        raised: temperatureCelsius !== null && temperatureCelsius >= CELSIUS.raise,
        cleared: temperatureCelsius !== null && temperatureCelsius <= CELSIUS.clear,
        message: `GPU ${index} has ${temperatureCelsius} °C`,
      },
    ]),
  ]
}

function diskAlarms({ disks }: ResourceSnapshot): Alarm[] {
  return disks.flatMap(({ path, totalBytes, freeBytes, freeInodes }) => [
    {
      id: `disk-full:${path}`,
      raised: freeBytes < diskLimit(totalBytes, DISK.raise),
      cleared: freeBytes > diskLimit(totalBytes, DISK.clear),
      message: `"${path}" has ${(freeBytes / GiB).toFixed(1)} GiB of ${(totalBytes / GiB).toFixed(0)} GiB left`,
    },
    {
      id: `inodes-full:${path}`,
      raised: freeInodes !== null && freeInodes < INODES.raise,
      cleared: freeInodes === null || freeInodes > INODES.clear,
      message: `"${path}" has room for ${freeInodes} more files`,
    },
  ])
}

/** So many bytes, a larger share of a disk that is smaller than that makes sense for, a small share of a large one. */
function diskLimit(totalBytes: number, { bytes, smallShare, share }: typeof DISK.raise): number {
  return Math.max(Math.min(bytes, totalBytes * smallShare), totalBytes * share)
}

/** Each kill is an alarm of its own; there is nothing to clear. */
function oomEvents(told: Told, { memory }: ResourceSnapshot): EventDraft[] {
  const { oomKills } = memory
  if (oomKills === null || oomKills <= told.oomKills) return []
  const message = `the kernel killed ${oomKills - told.oomKills} process(es) for want of memory`
  const error = { code: 'OUT_OF_MEMORY', message }
  return [{ type: 'machine.alarm', status: 'raised', error, context: { alarm: 'out-of-memory', oomKills } }]
}
