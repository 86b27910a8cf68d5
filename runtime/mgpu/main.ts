#!/usr/bin/env node
/**
 * The operator's command line: `mgpu`, and by other names (`--as NAME`, or the name of the link it is called by) `wgpu`,
 * `service` and `mcomfy`. Exit codes: 0 done, 1 something is not as it should be, 2 wrong command line, 3 it failed itself.
 */
import { basename } from 'node:path'
import type { Plan } from '../../schema/plan.ts'
import { loadPlan } from '../shared/load-plan.ts'
import { type Console, openConsole } from './console.ts'
import type { Command, Context } from './context.ts'
import { EXIT, UsageError } from './failure.ts'
import { findPlan } from './find-plan.ts'
import { type Reading, type Request, readArguments } from './read-arguments.ts'
import { PROGRAM_NAMES, type ProgramName, type Verb } from './verb-table.ts'

/** Each is loaded only when it is asked for: nobody waits for what another verb needs. */
const COMMANDS: Readonly<Record<Exclude<Verb, 'completion'>, () => Promise<{ readonly run: Command }>>> = {
  start: () => import('./verbs/operate.ts'),
  stop: () => import('./verbs/operate.ts'),
  restart: () => import('./verbs/operate.ts'),
  status: () => import('./verbs/status.ts'),
  logs: () => import('./verbs/logs.ts'),
  tail: () => import('./verbs/logs.ts'),
  rotate: () => import('./verbs/rotate.ts'),
  setup: () => import('./verbs/provision.ts'),
  update: () => import('./verbs/provision.ts'),
  rollback: () => import('./verbs/provision.ts'),
  count: () => import('./verbs/count.ts'),
  websocket: () => import('./verbs/websocket.ts'),
  top: () => import('./verbs/top.ts'),
  events: () => import('./verbs/events.ts'),
  doctor: () => import('./verbs/doctor.ts'),
  nodes: () => import('./verbs/nodes.ts'),
  models: () => import('./verbs/models.ts'),
}

async function main(words: readonly string[]): Promise<number> {
  const { program, rest } = readProgram(words)
  const console = openConsole()
  const reading = readArguments(program, rest)
  if (reading.kind === 'request') return answer(reading.request, rest, console)
  return explain(program, reading, rest, console)
}

async function explain(
  program: ProgramName,
  reading: Exclude<Reading, { kind: 'request' }>,
  words: readonly string[],
  console: Console,
): Promise<number> {
  const passed = program === 'service' ? await passOn(words) : null
  if (passed !== null) return passed
  const { formatHelp } = await import('./help.ts')
  if (reading.kind === 'help') {
    console.out(formatHelp(program, reading.verb))
    return EXIT.done
  }
  console.say(`${program}: ${reading.message}\n${formatHelp(program, null).trimEnd()}`)
  return EXIT.usage
}

async function answer(request: Request, words: readonly string[], console: Console): Promise<number> {
  const { program, verb } = request
  try {
    if (verb === 'completion') {
      const { completionScript } = await import('./completion.ts')
      console.out(completionScript(request.word as 'bash' | 'zsh'))
      return EXIT.done
    }
    const context = openContext(request, console)
    const { run } = await COMMANDS[verb]()
    return await run(context)
  } catch (error) {
    if (error instanceof UsageError) {
      const passed = program === 'service' ? await passOn(words) : null
      if (passed !== null) return passed
      console.say(`${program}: ${error.message}`)
      return EXIT.usage
    }
    console.say(`${program}: ${describeError(error as NodeJS.ErrnoException)}`)
    return EXIT.failed
  }
}

function openContext(request: Request, console: Console): Context {
  const { plan: given, machine } = request.options
  const planFile = findPlan({ plan: given, machine, environment: console.environment, directory: process.cwd() })
  const plan: Plan = loadPlan(planFile)
  return { request, plan, planFile, console }
}

function describeError(error: NodeJS.ErrnoException): string {
  if (error.code !== 'EACCES' && error.code !== 'EPERM') return error.message
  return `${error.message}; run this as the user of the machine, in a container as root`
}

/** Distributions have a `service` of their own, which knows those that are not this machine's. */
async function passOn(words: readonly string[]): Promise<number | null> {
  const { passToSystem } = await import('./system-service.ts')
  return passToSystem(words)
}

function readProgram(words: readonly string[]): { readonly program: ProgramName; readonly rest: readonly string[] } {
  const isName = (word: string | undefined): word is ProgramName => PROGRAM_NAMES.includes(word as ProgramName)
  if (words[0] === '--as' && isName(words[1])) return { program: words[1], rest: words.slice(2) }
  const called = basename(process.argv[1] ?? '')
  return { program: isName(called) ? called : 'mgpu', rest: words }
}

process.exitCode = await main(process.argv.slice(2))
