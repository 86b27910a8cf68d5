import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Plan } from '../../schema/plan.ts'
import { createObserver, serviceDirectory } from '../shared/observe-service.ts'
import { CONTROL, sendControl } from '../shared/service-control.ts'
import type { ServiceChanges } from './service-changes.ts'

/** Something that could not be done; what came before it holds, and a second run goes on from there. */
export class ApplyError extends Error {
  override readonly name = 'ApplyError'
}

export interface ApplyOptions {
  /** The plan of the tree that was just written. */
  readonly plan: Plan
  readonly changes: ServiceChanges
  readonly node: string
  /** Takes a line for each thing that is done. */
  readonly tell: (line: string) => void
}

/** A service graph of hundreds is swapped in well under a second; this is for a host that swaps. */
const UPDATE_TIMEOUT_MS = 60_000
/** Beyond the stop timeout of the service: SIGKILL, `finish`. */
const STOP_SLACK_MS = 6000

/**
 * Makes the machine in this container the one of its tree, which was written before: secrets and directories, the
 * database of s6-rc, new and gone services, restarts of those whose process changed, a reload of nginx.
 *
 * @throws ApplyError
 */
export async function applyToContainer({ plan, changes, node, tell }: ApplyOptions): Promise<void> {
  execute(node, [`${plan.paths.programs}/provision.js`, 'setup', '--plan', `${plan.paths.config}/plan.json`])
  updateDatabase(tell)
  if (changes.restartsSidecar) {
    tell('restart  sidecar')
    order(plan, 'sidecar', CONTROL.restart)
  }
  if (changes.reloadsProxy && plan.proxy !== null) {
    execute('nginx', ['-t', '-q', '-c', plan.proxy.configFile, '-p', `${plan.paths.run}/nginx`, '-e', 'stderr'])
    tell('reload   nginx')
    order(plan, 'nginx', CONTROL.hangup)
  }
  for (const name of changes.loggers) {
    tell(`restart  ${name}-log`)
    order(plan, `${name}-log`, CONTROL.restart)
  }
  for (const name of changes.repeated) {
    tell(`repeat   ${name}`)
    rmSync(`${plan.paths.gates}/${name}`, { force: true })
    order(plan, name, `${CONTROL.restart}${CONTROL.up}`)
  }
  await Promise.all(changes.restarted.map(({ service }) => restart(plan, service, tell)))
}

/** The sources that s6-overlay itself compiles at a boot, in its order (rc.init). */
function databaseSources(): string[] {
  const profile = process.env.S6_RUNTIME_PROFILE
  const root = profile === undefined || profile === '' ? '/etc/s6-overlay' : `/etc/cont-profile.d/${profile}/s6-overlay`
  const overlay = readdirSync('/package/admin').filter((name) => /^s6-overlay-\d/.test(name))[0]
  if (overlay === undefined)
    throw new ApplyError('cannot find the sources of s6-overlay: there is no /package/admin/s6-overlay-*')
  const isOldLayout = existsSync(`${root}/s6-rc.d/user`)
  const bundles = process.env.S6_RUNTIME_BUNDLEDIR || `${root}/user-bundles.d`
  return [`${root}/s6-rc.d`, ...(isOldLayout ? [] : [bundles]), `/package/admin/${overlay}/etc/s6-rc/sources`]
}

/**
 * Swaps the database of s6-rc for one of the new tree: services that are gone are stopped, all others go on, with the
 * files of their new definition in place; then what is new is started.
 */
function updateDatabase(tell: (line: string) => void): void {
  const directory = mkdtempSync('/run/machinegen/database-')
  const database = `${directory}/db`
  try {
    execute('/command/s6-rc-compile', ['--', database, ...databaseSources()])
    execute('/command/s6-rc-update', ['-b', '-t', String(UPDATE_TIMEOUT_MS), database])
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
  for (const name of readdirSync('/run/machinegen')) {
    const path = `/run/machinegen/${name}`
    if (name.startsWith('database-') && path !== directory) rmSync(path, { recursive: true, force: true })
  }
  tell('update   the service database')
  execute('/command/s6-rc', ['-b', '-u', '-t', String(UPDATE_TIMEOUT_MS), 'change', 'user'])
}

function execute(program: string, words: readonly string[]): void {
  const { status, error, stderr } = spawnSync(program, words, {
    encoding: 'utf8',
    // Node's pipes are sockets, and nginx opens /dev/stdout, which a socket refuses.
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 2 * UPDATE_TIMEOUT_MS,
    env: { ...process.env, PATH: `/command:${process.env.PATH ?? '/usr/bin:/bin'}` },
  })
  if (status === 0) return
  const why = error?.message ?? (stderr.trim() || `exit code ${status}`)
  throw new ApplyError(`cannot run ${program.split('/').at(-1)}: ${why}`)
}

function order(plan: Plan, service: string, letters: string): void {
  if (sendControl(serviceDirectory(plan.paths, service), letters) === 'not-supervised') {
    throw new ApplyError(`cannot give an order to "${service}": no supervisor looks after it`)
  }
}

/** What an operator stopped, or s6 gave up, stays down: its new definition holds from its next start. */
async function restart(plan: Plan, service: string, tell: (line: string) => void): Promise<void> {
  const observe = createObserver(plan.paths, service)
  const { status } = observe()
  if (status === null || !status.wantUp) return tell(`keep     ${service} down`)
  tell(`restart  ${service}`)
  const { timeoutMs } = plan.services.find(({ name }) => name === service)!.stop
  // With `down` the supervisor itself follows up with SIGKILL.
  order(plan, service, CONTROL.down)
  const endMs = Date.now() + timeoutMs + STOP_SLACK_MS
  while ((observe().status?.pid ?? 0) !== 0) {
    if (Date.now() > endMs)
      throw new ApplyError(`cannot restart "${service}": it did not end within ${timeoutMs / 1000} s`)
    await delay(20)
  }
  order(plan, service, CONTROL.up)
}
