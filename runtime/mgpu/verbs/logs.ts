import { parseLogFilter } from '../../shared/logs/log-filter.ts'
import type { LogFilter, LogLine } from '../../shared/logs/log-store.ts'
import { printable } from '../console.ts'
import type { Command, Context } from '../context.ts'
import { EXIT, UsageError } from '../failure.ts'
import { formatLogLine, labelColors } from '../log-lines.ts'
import { openMachineLogs } from '../machine-logs.ts'
import { paint } from '../table.ts'
import { targetsOf } from '../targets.ts'

const DEFAULT_LINES = 100
const TAIL_LINES = 10

/** `logs` and `tail`: the newest lines of services in the order of time, then each new one. */
export const run: Command = async (context) => {
  const { request, plan, console } = context
  const { services, name, gpu } = targetsOf(context)
  if (request.verb === 'tail' && services.length !== 1) {
    const names = services.slice(0, 8).map((service) => service.name)
    throw new UsageError(`"tail" follows one service: name one of ${names.join(', ')}, or use "logs" for several`)
  }
  const isAll = name === null && gpu === null
  const filter = readFilter(context, isAll ? [] : services.map((service) => service.name))
  const store = openMachineLogs(plan, console.environment)
  const write = createWriter(
    context,
    services.map((service) => service.name),
  )
  if (isFollowing(context)) {
    for await (const line of store.follow(filter, console.signal)) await write(line)
    return EXIT.done
  }
  const { lines, isPartial } = await store.query(filter, console.signal)
  for (const line of lines) await write(line)
  if (lines.length === 0) console.say('mgpu: there are no such lines')
  if (isPartial) console.say('mgpu: the search took too long: there may be more lines; --since narrows it down')
  return EXIT.done
}

/** The workers of all GPUs were never followed: scripts read the last lines of them. */
function isFollowing({ request: { program, verb, gpu, options } }: Context): boolean {
  if (verb === 'tail') return true
  return options.follow ?? !(program === 'wgpu' && gpu === null)
}

function readFilter({ request: { verb, options } }: Context, services: readonly string[]): LogFilter {
  const { lines, level, grep, since } = options
  const count = lines ?? (verb === 'tail' ? TAIL_LINES : DEFAULT_LINES)
  const parsed = parseLogFilter({ lines: String(count), level, grep, since }, Date.now())
  if ('problem' in parsed) throw new UsageError(parsed.problem)
  return { ...parsed.filter, services }
}

/** Writes lines as fast as the reader takes them. */
function createWriter({ request, console }: Context, names: readonly string[]): (line: LogLine) => Promise<void> {
  const colors = labelColors(names)
  const width = Math.max(...names.map((name) => name.length))
  const format = (line: LogLine): string => {
    if (request.options.json) return JSON.stringify(line)
    const label =
      names.length === 1 ? null : paint(line.service.padEnd(width), colors.get(line.service), console.isColored)
    return formatLogLine({ ...line, message: printable(line.message) }, label, console.isColored)
  }
  return async (line) => {
    const { stdout } = process
    if (stdout.write(`${format(line)}\n`) || console.signal.aborted) return
    await new Promise<void>((resolve) => {
      stdout.once('drain', resolve)
      console.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}
