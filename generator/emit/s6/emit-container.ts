import type { Plan, PlannedService } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { bundleLayout } from '../../plan/overlay.ts'
import { execlineCommand } from '../quote/execline.ts'
import { shellWord } from '../quote/shell.ts'
import { loggerScript, type ServiceFile, serviceFiles } from './service-directory.ts'

const PROFILE = 'etc/s6-overlay'
const SOURCES = `${PROFILE}/s6-rc.d`

/** Oneshots: what they may take before the boot, or the stop, goes on without them. */
const SETUP_TIMEOUT_MS = 60_000
const FAREWELL_TIMEOUT_MS = 1000
/** A logger ends when its producer's pipe is closed; this is for one whose disk hangs. */
const LOGGER_STOP_TIMEOUT_MS = 2000

/** The s6-rc sources of a container with s6-overlay; in the order of their paths, as near as that comes without a sort. */
export function emitContainerTree(plan: Plan, marker: string): Artifact[] {
  const names = ['setup-directories', 'farewell', ...plan.services.map((service) => pipelineName(service.name))]
  // With the slash that follows in a path: `a-log/` comes before `a/`.
  const directories = [
    ...plan.services.flatMap((service) => [
      { path: `${service.name}/`, make: () => longrun(plan, service, marker) },
      { path: `${loggerName(service.name)}/`, make: () => logger(plan, service, marker) },
    ]),
    { path: 'setup-directories/', make: () => setupDirectories(plan) },
    { path: 'farewell/', make: () => farewell(plan) },
    ...Object.entries(plan.bundles).map(([name, members]) => ({
      path: `${name}/`,
      make: () => bundle(`${SOURCES}/${name}`, members),
    })),
  ]
  directories.sort((a, b) => (a.path < b.path ? -1 : 1))
  return [...directories.flatMap(({ make }) => make()), ...userBundle(plan, names)]
}

const pipelineName = (service: string): string => `${service}-pipeline`
const loggerName = (service: string): string => `${service}-log`

function file(path: string, content: string, mode = 0o644): Artifact {
  return { path, mode, content, source: 's6' }
}

const line = (path: string, value: string | number): Artifact => file(path, `${value}\n`)

/** s6-rc reads the names of the files; git and container layers do not keep empty directories, so these are files. */
const names = (directory: string, members: readonly string[]): Artifact[] =>
  inOrder(members).map((member) => file(`${directory}/${member}`, ''))

const inOrder = (names: readonly string[]): readonly string[] => (names.length < 2 ? names : [...names].sort())

function longrun(plan: Plan, service: PlannedService, marker: string): Artifact[] {
  const directory = `${SOURCES}/${service.name}`
  const files = serviceFiles(plan, service, marker).map((entry) => inDirectory(directory, entry))
  const run = files.findIndex(({ path }) => path.endsWith('/run'))
  return [
    ...names(`${directory}/dependencies.d`, dependenciesOf(service)),
    ...files.slice(0, run),
    line(`${directory}/producer-for`, loggerName(service.name)),
    ...files.slice(run),
    ...(service.readiness === null ? [] : [line(`${directory}/timeout-up`, service.readiness.timeoutUpMs)]),
    line(`${directory}/type`, 'longrun'),
  ]
}

const inDirectory = (directory: string, entry: ServiceFile): Artifact =>
  file(`${directory}/${entry.name}`, entry.content, entry.mode)

/** The order of the stop. Nothing here makes a boot wait: no service but nginx announces readiness, and it at once. */
function dependenciesOf(service: PlannedService): string[] {
  if (service.type === 'sidecar') return ['base']
  // Setup depends on the sidecar, so that all that depends on setup does.
  return ['base', 'setup-directories', ...service.stopsBefore.filter((name) => name !== 'sidecar')]
}

function logger(plan: Plan, service: PlannedService, marker: string): Artifact[] {
  const directory = `${SOURCES}/${loggerName(service.name)}`
  return [
    line(`${directory}/consumer-for`, service.name),
    ...names(`${directory}/dependencies.d`, ['base']),
    line(`${directory}/pipeline-name`, pipelineName(service.name)),
    file(`${directory}/run`, loggerScript(plan, service, marker), 0o755),
    line(`${directory}/timeout-kill`, LOGGER_STOP_TIMEOUT_MS),
    line(`${directory}/type`, 'longrun'),
  ]
}

/** Directories, secrets and credential files, before anything that needs them. A failure stops the boot. */
function setupDirectories(plan: Plan): Artifact[] {
  const directory = `${SOURCES}/setup-directories`
  const command = ['/command/with-contenv', 'node', `${plan.paths.programs}/provision.js`, 'setup', '--plan']
  return [
    line(`${directory}/type`, 'oneshot'),
    line(`${directory}/up`, execlineCommand([...command, `${plan.paths.config}/plan.json`])),
    line(`${directory}/timeout-up`, SETUP_TIMEOUT_MS),
    line(`${directory}/timeout-down`, FAREWELL_TIMEOUT_MS),
    ...names(`${directory}/dependencies.d`, ['base', 'sidecar']),
  ]
}

/**
 * Depends on all services, on most of them through others, so that its `down` is the first thing of a stop: the sidecar
 * says goodbye in time.
 */
function farewell(plan: Plan): Artifact[] {
  const stopLater = new Set(plan.services.flatMap((service) => service.stopsBefore))
  const stopFirst = plan.services.map((service) => service.name).filter((name) => !stopLater.has(name))
  const directory = `${SOURCES}/farewell`
  const library = shellWord(`${plan.paths.library}/service.sh`)
  const sidecar = shellWord(`${plan.paths.services}/sidecar`)
  return [
    line(`${directory}/type`, 'oneshot'),
    line(`${directory}/up`, 'true'),
    // A sidecar that is down just now must not keep the machine up.
    line(`${directory}/down`, execlineCommand(['sh', '-c', `. ${library}; farewell ${sidecar} || :`])),
    line(`${directory}/timeout-up`, FAREWELL_TIMEOUT_MS),
    line(`${directory}/timeout-down`, FAREWELL_TIMEOUT_MS),
    ...names(`${directory}/dependencies.d`, ['base', ...stopFirst]),
  ]
}

function bundle(directory: string, members: readonly string[]): Artifact[] {
  return [...names(`${directory}/contents.d`, members), line(`${directory}/type`, 'bundle')]
}

/** The bundle that s6-overlay starts, in the one place where this version looks for it. */
function userBundle(plan: Plan, members: readonly string[]): Artifact[] {
  return bundleLayout(plan.machine.s6Overlay) === 'user-bundles.d'
    ? bundle(`${PROFILE}/user-bundles.d/user`, members)
    : bundle(`${SOURCES}/user`, members)
}
