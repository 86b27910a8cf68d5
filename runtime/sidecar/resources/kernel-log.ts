import { closeSync, constants, openSync, readSync } from 'node:fs'
import { uptime } from 'node:os'
import { normalisePciBus } from './parse-nvidia-smi.ts'

export interface XidCounter {
  /** XID errors of the GPU at a PCI address since this was opened; `null` where the kernel's log cannot be read. */
  readonly count: (pciBus: string | null) => number | null
  /** Reads what is new. Never waits. */
  readonly poll: () => void
  readonly close: () => void
}

/** The longest record that the kernel gives out, with its dictionary. */
const RECORD_BYTES = 8192
const MAX_RECORDS_PER_POLL = 5000

/**
 * Counts the XID errors that the NVIDIA driver reports in `/dev/kmsg`. Containers have that file only where they are
 * privileged.
 */
export function openXidCounter(path = '/dev/kmsg', bootedMsAgo = uptime() * 1000): XidCounter {
  const counts = new Map<string, number>()
  const buffer = Buffer.allocUnsafe(RECORD_BYTES)
  let file = openLog(path)

  const close = () => {
    if (file !== null) closeSync(file)
    file = null
  }

  /** One read is one record. */
  const readRecord = (descriptor: number): string | null => {
    try {
      const bytes = readSync(descriptor, buffer, 0, RECORD_BYTES, null)
      return bytes === 0 ? null : buffer.toString('utf8', 0, bytes)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Records were overwritten before they were read: the next read goes on behind them.
      if (code === 'EPIPE') return ''
      if (code !== 'EAGAIN') close()
      return null
    }
  }

  const poll = () => {
    for (let records = 0; file !== null && records < MAX_RECORDS_PER_POLL; records += 1) {
      const record = readRecord(file)
      if (record === null) return
      for (const { pciBus, atMs } of findXids(record)) {
        if (atMs >= bootedMsAgo) counts.set(pciBus, (counts.get(pciBus) ?? 0) + 1)
      }
    }
  }

  return {
    count: (pciBus) => (file === null || pciBus === null ? null : (counts.get(pciBus) ?? 0)),
    poll,
    close,
  }
}

function openLog(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return null
  }
}

/** XID errors in records of /dev/kmsg (`6,1234,5678901,-;NVRM: Xid (PCI:0000:3b:00): 79, ...`), ms after the boot. */
export function findXids(text: string): readonly { readonly pciBus: string; readonly atMs: number }[] {
  return text.split('\n').flatMap((line) => {
    const [, microseconds, address] = /^\d+,\d+,(\d+),[^;]*;NVRM: Xid \(PCI:([^)]+)\): \d+/.exec(line) ?? []
    const pciBus = normalisePciBus(address ?? null)
    return pciBus === null ? [] : [{ pciBus, atMs: Number(microseconds) / 1000 }]
  })
}
