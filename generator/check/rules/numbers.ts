import type { Compilation, OwnService } from '../compilation.ts'
import { doubt, type Finding, mistake, rejection, valueText } from '../finding.ts'
import { readNumber, readSignal, readTimeout } from '../service-files.ts'
import { type FileEntry, fileAt, textOf } from '../source-tree.ts'

const LONGRUN_NUMBERS = ['notification-fd', 'lock-fd', 'timeout-kill', 'timeout-finish', 'max-death-tally']
/** s6-supervise keeps no more deaths (S6_MAX_DEATH_TALLY). */
const DEATH_TALLY_LIMIT = 4096
/** 0, 1 and 2 are stdin, stdout and stderr. */
const FIRST_FREE_DESCRIPTOR = 3

/** Files of one number hold a number. */
export function* numberRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    const timeouts = kind === 'longrun' || kind === 'oneshot' ? ['timeout-up', 'timeout-down'] : []
    for (const file of timeouts) yield* badNumber(name, fileAt(directory, file), readTimeout)
    if (kind !== 'longrun') continue
    for (const file of LONGRUN_NUMBERS) yield* badNumber(name, fileAt(directory, file), readNumber)
  }
}

function* badNumber(
  service: string,
  file: FileEntry | undefined,
  read: (file: FileEntry) => number | undefined,
): Iterable<Finding> {
  if (file === undefined || read(file) !== undefined) return
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  const text = textOf(file).replace(/\n+$/, '')
  const message = `cannot read "${name}" of "${service}": ${JSON.stringify(text.slice(0, 40))} is not a whole number`
  yield rejection('S6_BAD_NUMBER', valueText(file), message, { hint: numberHint(name, text) })
}

function numberHint(name: string, text: string): string {
  const amount = /^\s*(\d+)\s*(ms|s|m)\s*$/.exec(text)
  if (!name.startsWith('timeout-')) return 'the file holds digits and a newline, nothing else'
  if (amount === null) return 'the file holds milliseconds as digits and a newline, without a unit'
  const unitMs = { ms: 1, s: 1000, m: 60_000 }[amount[2] as 'ms' | 's' | 'm']
  return `the unit is milliseconds: write ${Number(amount[1]) * unitMs}`
}

/** Descriptors that collide with the standard ones or with each other, and a tally that is cut. */
export function* descriptorRules({ services }: Compilation): Iterable<Finding> {
  for (const service of services) {
    if (service.kind !== 'longrun') continue
    const notification = fileAt(service.directory, 'notification-fd')
    const lock = fileAt(service.directory, 'lock-fd')
    for (const file of [notification, lock]) yield* standardDescriptor(service, file)
    const value = lock === undefined ? undefined : readNumber(lock)
    if (lock !== undefined && notification !== undefined && value !== undefined && value >= FIRST_FREE_DESCRIPTOR) {
      if (readNumber(notification) !== value) continue
      const message = `cannot use descriptor ${value} of "${service.name}" twice: "notification-fd" has it`
      yield rejection('S6_BAD_DESCRIPTOR', valueText(lock), message, { hint: 'choose another number for one of them' })
    }
  }
}

function* standardDescriptor({ name }: OwnService, file: FileEntry | undefined): Iterable<Finding> {
  const value = file === undefined ? undefined : readNumber(file)
  if (file === undefined || value === undefined || value >= FIRST_FREE_DESCRIPTOR) return
  const what = file.path.slice(file.path.lastIndexOf('/') + 1)
  const stream = ['stdin', 'stdout', 'stderr'][value]
  const message = `cannot use ${value} as "${what}" of "${name}" safely: it is ${stream}`
  yield doubt('S6_BAD_DESCRIPTOR', valueText(file), message, { hint: 'use 3 or higher' })
}

export function* deathTallyRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    const file = kind === 'longrun' ? fileAt(directory, 'max-death-tally') : undefined
    const value = file === undefined ? undefined : readNumber(file)
    if (file === undefined || value === undefined || value <= DEATH_TALLY_LIMIT) continue
    const message = `cannot keep ${value} deaths of "${name}": s6-supervise keeps ${DEATH_TALLY_LIMIT}`
    yield doubt('S6_BAD_NUMBER', valueText(file), message, { hint: `write ${DEATH_TALLY_LIMIT} or less` })
  }
}

/** Signals that exist: s6-rc-compile copies anything, and s6-supervise then uses its default. */
export function* signalRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    if (kind !== 'longrun') continue
    for (const [what, fallback] of [
      ['down-signal', 'SIGTERM'],
      ['reload-signal', 'SIGHUP'],
    ] as const) {
      const file = fileAt(directory, what)
      if (file === undefined || readSignal(file) !== undefined) continue
      const text = textOf(file).replace(/\n+$/, '')
      const message = `cannot use "${what}" of "${name}": ${JSON.stringify(text.slice(0, 40))} is no signal, ${fallback} is sent`
      yield mistake('S6_BAD_SIGNAL', valueText(file), message, { hint: 'write a name such as SIGINT, and a newline' })
    }
  }
}
