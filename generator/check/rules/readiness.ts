import type { Compilation, OwnService } from '../compilation.ts'
import { doubt, type Finding, inText, mistake, valueText, wholeOf } from '../finding.ts'
import { type Program, programOf } from '../program.ts'
import { readNumber, readTimeout } from '../service-files.ts'
import { exists, type FileEntry, fileAt } from '../source-tree.ts'

/** Nothing that a start or a stop waits for may last for ever: the container could not be stopped then. */
export function* timeoutRules({ services, profile }: Compilation): Iterable<Finding> {
  for (const service of services) {
    if (service.kind === 'longrun') {
      yield* missingTimeout(service, 'timeout-kill', 'a process that ignores its signal is never killed')
      yield* unboundedReadiness(service, profile !== undefined)
    } else if (service.kind === 'oneshot') {
      if (!isEmptyScript(service, 'up')) yield* missingTimeout(service, 'timeout-up', 'a hanging "up" hangs the boot')
      if (!isEmptyScript(service, 'down')) {
        yield* missingTimeout(service, 'timeout-down', 'a hanging "down" hangs the stop')
      }
    }
  }
}

/** A script that runs nothing cannot hang. */
function isEmptyScript({ directory }: OwnService, name: string): boolean {
  const file = fileAt(directory, name)
  return file === undefined ? !exists(directory, name) : programOf(file).words.length === 0
}

/** Milliseconds, 0 for none; undefined where the file is wrong. */
function timeoutMs({ directory }: OwnService, name: string): number | undefined {
  const file = fileAt(directory, name)
  if (file === undefined) return 0
  return name === 'timeout-kill' ? readNumber(file) : readTimeout(file)
}

function* missingTimeout(service: OwnService, name: string, why: string): Iterable<Finding> {
  if (timeoutMs(service, name) !== 0) return
  const file = fileAt(service.directory, name)
  const message = `cannot bound ${service.kind} "${service.name}": it has no "${name}", so that ${why}`
  const hint = `write milliseconds into "${name}"`
  yield doubt('S6_NO_TIMEOUT', file === undefined ? wholeOf(service.directory) : valueText(file), message, { hint })
}

function* unboundedReadiness(service: OwnService, inContainer: boolean): Iterable<Finding> {
  const file = fileAt(service.directory, 'notification-fd')
  if (file === undefined || timeoutMs(service, 'timeout-up') !== 0) return
  const message = `cannot bound the start of "${service.name}": it announces readiness and has no "timeout-up"`
  const hint =
    'if it never becomes ready, the boot waits for ever and a stop waits for the boot: write milliseconds into "timeout-up"'
  yield (inContainer ? mistake : doubt)('S6_READINESS', valueText(file), message, { hint })
}

/** Readiness that can never be announced, or that its poller stops to look for. */
export function* notificationRules({ services }: Compilation): Iterable<Finding> {
  for (const service of services) {
    const run = service.kind === 'longrun' ? fileAt(service.directory, 'run') : undefined
    if (run === undefined) continue
    const program = programOf(run)
    yield* loggerReadiness(service, run, program)
    yield* pollerReadiness(service, run, program)
  }
}

function* loggerReadiness(service: OwnService, run: FileEntry, program: Program): Iterable<Finding> {
  const file = fileAt(service.directory, 'notification-fd')
  if (file === undefined) return
  const message = `cannot wait for the readiness of logger "${service.name}": `
  if (program.calls('logutil-service') !== undefined) {
    const hint = 'remove "notification-fd", or run "s6-log -d3" without logutil-service'
    yield mistake('S6_LOGGER_READINESS', valueText(file), `${message}logutil-service never announces it`, { hint })
    return
  }
  const log = program.calls('s6-log')
  if (log === undefined) return
  const descriptor = readNumber(file)
  const option = optionsAfter(program, log).find((word) => /^-[a-zA-Z]*d/.test(word))
  if (option !== undefined) return
  const place = inText(run, program.words[log]!.start, program.words[log]!.end)
  const hint = `run "s6-log -d${descriptor ?? 3}", or remove "notification-fd"`
  yield mistake('S6_LOGGER_READINESS', place, `${message}s6-log announces it only with "-d"`, { hint })
}

function* pollerReadiness(service: OwnService, run: FileEntry, program: Program): Iterable<Finding> {
  const poller = program.calls('s6-notifyoncheck')
  if (poller === undefined) return
  const place = inText(run, program.words[poller]!.start, program.words[poller]!.end)
  const options = optionsAfter(program, poller)
  if (!exists(service.directory, 'notification-fd') && !options.some((word) => word.startsWith('-3'))) {
    const message = `cannot announce the readiness of "${service.name}": s6-notifyoncheck reads "notification-fd", which is absent`
    yield mistake('S6_READINESS', place, message, { hint: 'add "notification-fd", or take s6-notifyoncheck away' })
  }
  if (options.some((word) => /^-[a-zA-Z]*n/.test(word))) return
  const message = `cannot poll "${service.name}" until it is ready: s6-notifyoncheck gives up after 7 attempts`
  yield doubt('S6_READINESS', place, message, { hint: 'add "-n 0"; "timeout-up" then bounds the wait' })
}

/** The words after a command up to the first that is neither an option nor its value. */
function optionsAfter(program: Program, index: number): string[] {
  const options: string[] = []
  const rest = program.words.slice(index + 1).map((word) => word.value)
  for (const [position, word] of rest.entries()) {
    if (word === '--') break
    if (word.startsWith('-')) options.push(word)
    else if (position > 0 && /^-[a-zA-Z0-9]$/.test(rest[position - 1]!)) continue
    else break
  }
  return options
}
