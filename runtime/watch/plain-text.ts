import { formatBytes, formatDuration } from '../mgpu/format.ts'
import { clip } from '../mgpu/table.ts'
import type { EventProgress } from '../shared/machine-event.ts'

/** Controls, separators of lines, marks of direction, halves of characters, and marks that pile up on the one before. */
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Mn}\p{Me}]/gu

/** No line of a terminal is longer; what is longer need not be looked at to its end. */
const LONGEST = 1000

/** Text of others for one line of a terminal: what would steer it, or is no character, shows as a dot. */
export function plain(text: string, longest = LONGEST): string {
  return clip(text.slice(0, longest + 1).replace(UNSHOWABLE, '·'), longest)
}

/** `model.safetensors 1.2 GiB of 6.5 GiB, 40.0 MiB/s, 2 min left`, `3 of 64`. */
export function describeProgress({
  item,
  bytes,
  totalBytes,
  bytesPerSecond,
  etaSeconds,
  done,
  total,
}: EventProgress): string {
  const size = bytes === undefined ? '' : formatBytes(bytes)
  const facts = [
    size === '' || totalBytes === undefined ? size : `${size} of ${formatBytes(totalBytes)}`,
    bytesPerSecond === undefined ? '' : `${formatBytes(bytesPerSecond)}/s`,
    total === undefined || total === 0 ? '' : `${done ?? 0} of ${total}`,
    etaSeconds === undefined ? '' : `${formatDuration(etaSeconds * 1000)} left`,
  ]
  const text = facts.filter((fact) => fact !== '').join(', ')
  return [item, text].filter((part) => part !== undefined && part !== '').join(' ')
}
