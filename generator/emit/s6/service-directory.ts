import type { Plan, PlannedService } from '../../../schema/plan.ts'
import { backoffDelaysMs } from '../../plan/restart-budget.ts'
import { envdirFile } from '../quote/envdir.ts'
import { shellCommand, shellWord } from '../quote/shell.ts'
import { splitEnvironment } from './shared-environment.ts'

/** A file of a service directory, by its name in it. */
export interface ServiceFile {
  readonly name: string
  readonly mode: number
  readonly content: string
}

/** The signals by which people and the sidecar end a process: SIGINT, SIGQUIT, SIGTERM. */
const REQUESTED_SIGNALS = [2, 3, 15]

/** By Linux' numbers: the tree does not depend on the system that it was rendered on. */
const OTHER_STOP_SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGUSR1: 10, SIGUSR2: 12 }

/** s6 stores a death by signal as 128 + its number, as shells do. */
const codeOfSignal = (signal: number): number => 128 + signal

/**
 * Codes of deaths that count against a restart budget: all but those by a signal that asks for the end, the service's own
 * stop signal among them. A custom command that keeps ending with 0 is a mistake (a daemon in the background, a task that is
 * not declared as one). The known programs end with 0 only when they are asked to, also by a plain `s6-svc -r`, which
 * counts for nothing.
 */
function countedDeaths({ stop, type }: PlannedService): string {
  const other = OTHER_STOP_SIGNALS[stop.signal]
  const signals = other === undefined ? REQUESTED_SIGNALS : [...REQUESTED_SIGNALS, other]
  const excused = signals.map(codeOfSignal).sort((a, b) => a - b)
  const starts = [1, ...excused.map((code) => code + 1)]
  const ends = [...excused.map((code) => code - 1), 255]
  const ranges = starts.flatMap((start, index) => rangeText(start, ends[index] ?? 255))
  return (type === 'custom' ? ['0', ...ranges] : ranges).join(',')
}

function rangeText(start: number, end: number): string[] {
  if (start > end) return []
  return [start === end ? String(start) : `${start}-${end}`]
}

/** The supervisor keeps this many deaths at the most (s6-supervise, max-death-tally). */
const DEATH_TALLY_LIMIT = 4096

/** Made in one piece: a line end that is added later would cost a copy of the whole. */
const textOf = (lines: string[]): string => {
  lines.push('')
  return lines.join('\n')
}

/** What both targets give a service, by name: its scripts, its environment and the supervisor's settings. */
export function serviceFiles(plan: Plan, service: PlannedService, marker: string): ServiceFile[] {
  return [
    ...(service.stop.signal === 'SIGTERM' ? [] : [setting('down-signal', service.stop.signal)]),
    ...environmentFiles(plan, service),
    script('finish', finishScript(plan, service, marker)),
    setting('max-death-tally', DEATH_TALLY_LIMIT),
    ...(service.readiness === null ? [] : [setting('notification-fd', service.readiness.fd)]),
    script('run', runScript(plan, service, marker)),
    setting('timeout-kill', service.stop.timeoutMs),
  ]
}

const script = (name: string, content: string): ServiceFile => ({ name, mode: 0o755, content })
const setting = (name: string, value: string | number): ServiceFile => ({ name, mode: 0o644, content: `${value}\n` })

function environmentFiles(plan: Plan, service: PlannedService): ServiceFile[] {
  return splitEnvironment(plan, service).own.map(([name, value]) => ({
    name: `env/${name}`,
    mode: 0o644,
    content: envdirFile(value),
  }))
}

/** Only `with-contenv` gives a service the variables of the container; it must be first, since it clears the rest. */
function runInterpreter(plan: Plan): string {
  return plan.target === 'container' ? '#!/command/with-contenv sh' : '#!/bin/sh'
}

function header(plan: Plan, interpreter: string, marker: string): string[] {
  return [interpreter, `# ${marker}`, 'exec 2>&1', `. ${shellWord(`${plan.paths.library}/service.sh`)}`]
}

/** Programs whose users keep their packages in `venv/` beside them, as their own start scripts look for it. */
const PYTHON: ReadonlySet<string> = new Set(['comfyui', 'automatic1111'])

function runScript(plan: Plan, service: PlannedService, marker: string): string {
  const lines = [
    ...header(plan, runInterpreter(plan), marker),
    `begin ${service.name} ${shellWord(plan.paths.run)}${unusualStop(service)}`,
    ...(service.restart === null ? [] : [backOff(service.restart)]),
    ...(service.gpu === null || service.kind === 'task' ? [] : ['wait_for_gpu']),
    ...(service.waitsFor.length === 0 ? [] : [`wait_for ${service.waitsFor.join(' ')}`]),
    ...service.requiredFiles.map((path) => `require_file ${shellWord(path)}`),
    ...(service.workingDirectory === null ? [] : [`enter ${shellWord(service.workingDirectory)}`]),
    ...(PYTHON.has(service.type) && service.requiredFiles.length > 0 ? ['prefer_virtual_environment'] : []),
    ...(service.user === null || plan.target === 'local' ? [] : [`live_at_home_of ${shellWord(service.user)}`]),
    ...(service.threadShare === null ? [] : [`share_threads ${service.threadShare}`]),
    'quiet',
    ...(service.readiness === null ? [] : [`echo >&${service.readiness.fd}`, `exec ${service.readiness.fd}>&-`]),
    `exec ${execChain(plan, service)}`,
  ]
  return textOf(lines)
}

/** What `begin` is told of a stop signal that would else count as a death: its name and exit code. */
function unusualStop({ stop }: PlannedService): string {
  const signal = OTHER_STOP_SIGNALS[stop.signal]
  return signal === undefined ? '' : ` ${stop.signal} ${codeOfSignal(signal)}`
}

/**
 * Environment first, then the user, then the program: a secret's file is readable by root alone. Each program is looked
 * for on the PATH of the one before it: where the user sets another, the tools are still those of the machine, and a
 * `nice` that changes nothing finds the user's program on the user's path.
 */
function execChain(plan: Plan, service: PlannedService): string {
  const { sharedDirectory, own } = splitEnvironment(plan, service)
  const setsPath = [service.environment, service.secretEnvironment].some((names) => Object.hasOwn(names, 'PATH'))
  const tool = (name: string): string => (setsPath ? `"$(command -v ${name})"` : name)
  const envdir = `${tool('s6-envdir')} -fL`
  const secrets = Object.keys(service.secretEnvironment).length > 0
  const chain = [
    ...(sharedDirectory === null ? [] : [`${envdir} ${shellWord(sharedDirectory)}`]),
    ...(own.length > 0 ? [`${envdir} "$service_directory/env"`] : []),
    ...(secrets ? [`${envdir} ${shellWord(`${plan.paths.run}/env/${service.name}`)}`] : []),
    ...(service.user === null || plan.target === 'local' ? [] : [`${tool('s6-setuidgid')} ${shellWord(service.user)}`]),
    ...(setsPath ? [`${tool('nice')} -n 0 --`] : []),
    shellCommand(service.command),
  ]
  return chain.join(' \\\n  ')
}

function backOff(restart: NonNullable<PlannedService['restart']>): string {
  const delays = backoffDelaysMs(restart).map((delayMs) => String(delayMs / 1000))
  return `back_off ${seconds(restart.windowMs)} ${delays.join(' ')}`
}

/** s6 counts whole seconds. */
const seconds = (milliseconds: number): number => Math.max(1, Math.ceil(milliseconds / 1000))

function finishScript(plan: Plan, service: PlannedService, marker: string): string {
  const lines = [
    ...header(plan, '#!/bin/sh', marker),
    `ended ${service.name} ${shellWord(plan.paths.run)} "$@"`,
    ...(service.kind === 'task'
      ? [`if [ "$1" = 0 ]; then : >${shellWord(`${plan.paths.gates}/${service.name}`)}; exit 125; fi`]
      : []),
    ...(service.restart === null ? ['exit 0'] : giveUp(service, service.restart)),
  ]
  return textOf(lines)
}

/** Exits 125, which makes the supervisor leave the service down, once the budget is spent. */
function giveUp(service: PlannedService, { windowMs, maxAttempts }: NonNullable<PlannedService['restart']>): string[] {
  return ['stop_was_wanted && exit 0', `give_up_after ${seconds(windowMs)} ${maxAttempts} ${countedDeaths(service)}`]
}

/** nginx writes requests as JSON, with their time, and messages as text: requests go to a directory of their own. */
function accessLog(plan: Plan, service: PlannedService): { directories: string[]; script: string[] } {
  if (service.type !== 'nginx' || plan.proxy === null) return { directories: [], script: [] }
  const directory = shellWord(plan.proxy.accessLogDirectory)
  return { directories: [directory], script: ["- '+^\\{'", directory, 'f'] }
}

/** The logger of a service: a log volume that cannot be written costs the log file, not the service. */
export function loggerScript(plan: Plan, service: PlannedService, marker: string): string {
  const directory = shellWord(service.logs.directory)
  // Lines go to the container's output without a time: many are JSON, and the engine adds one.
  const forward = plan.target === 'container' ? ' 1' : ''
  const rotation = `n${service.logs.maxFiles} s${Math.max(4096, Math.min(service.logs.maxSizeBytes, 268_435_455))}`
  const access = accessLog(plan, service)
  const script = [rotation, ...access.script, `T ${directory}${forward}`].join(' ')
  const directories = [directory, ...access.directories]
  const locks = directories.map((path) => `${path}/lock`)
  const lines = [
    '#!/bin/sh',
    `# ${marker}`,
    // Where s6-log cannot lock a directory it ends, again and again, and the full pipe would stop the service.
    `mkdir -p ${directories.join(' ')} && touch ${locks.join(' ')} && exec s6-log -- ${script}`,
    `echo ${shellWord(`cannot keep the log of ${service.name}: "${service.logs.directory}" cannot be written`)} >&2`,
    `exec s6-log -- 1`,
  ]
  return textOf(lines)
}
