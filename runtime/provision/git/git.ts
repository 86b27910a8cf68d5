import { dirname } from 'node:path'
import type { Environment } from '../../../schema/interpolation.ts'
import type { MachinePaths, PlannedGit } from '../../../schema/plan.ts'
import { runCommand } from '../framework/run-command.ts'
import { gitFailure } from './git-failure.ts'
import { sshCommand } from './ssh-command.ts'

/** git, as the tasks of a machine use it: without a shell, without a question, and only for as long as it is given. */
export interface Git {
  /** What a command prints; throws a GitFailure, `cannot <what>: <why>`, where it fails. */
  readonly read: (directory: string, args: readonly string[], options?: GitOptions) => Promise<string>
  /** The same for a command whose failure is an answer: `null`. */
  readonly ask: (directory: string, args: readonly string[], options?: GitOptions) => Promise<string | null>
  /** What is wrong with its settings; it works without them. */
  readonly problems: readonly string[]
}

export interface GitOptions {
  /** What failed, for the message. Default: `run git <command>`. */
  readonly what?: string
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Hears what was received so far. */
  readonly onBytes?: (bytes: number) => void
}

export interface GitSource {
  readonly git: PlannedGit
  readonly paths: Pick<MachinePaths, 'run' | 'state'>
  readonly environment: Environment
  readonly secret: (name: string) => string | null
}

const LOCAL_TIMEOUT_MS = 120_000

/** A repository of some gigabytes over a slow line; what stalls ends much earlier. */
export const NETWORK_TIMEOUT_MS = 30 * 60_000

/** Settings that hold for each call and for the calls that git makes for submodules. */
const SETTINGS: readonly (readonly [string, string])[] = [
  // Nodes belong to the user of ComfyUI, and this runs as root.
  ['safe.directory', '*'],
  // Nothing that lies on the volume is run.
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  // Volumes that cannot keep a mode would make every file an edited one.
  ['core.fileMode', 'false'],
  ['core.quotePath', 'false'],
  ['gc.autoDetach', 'false'],
  ['maintenance.autoDetach', 'false'],
  ['init.defaultBranch', 'main'],
  ['advice.detachedHead', 'false'],
  ['http.lowSpeedLimit', '1000'],
  ['http.lowSpeedTime', '60'],
  ['user.name', 'machinegen'],
  ['user.email', 'machinegen@localhost'],
]

/** What git may know of the environment: where programs, proxies and certificates are. No token of the machine is in it. */
const PASSED =
  /^(PATH|HOME|TMPDIR|USER|LOGNAME|SSH_AUTH_SOCK|MACHINEGEN_SERVICE|SSL_CERT_(FILE|DIR)|GIT_SSL_CAINFO|(https?|all|no)_proxy)$/i

export function openGit(source: GitSource): Git {
  const { git, paths, secret } = source
  const ssh = sshCommand(git, git.sshKeySecret === null ? null : secret(git.sshKeySecret), paths)
  const base = baseEnvironment(source, ssh.command)
  const call = async (directory: string, args: readonly string[], options: GitOptions) => {
    const lines: string[] = []
    // Without it, git in a directory whose own repository is broken would find one further up.
    const env = { ...base, GIT_CEILING_DIRECTORIES: dirname(directory), ...options.env }
    const { timeoutMs = LOCAL_TIMEOUT_MS, input, onBytes } = options
    const onLine = (line: string, stream: 'stdout' | 'stderr') => {
      if (stream === 'stdout') lines.push(line)
      else if (onBytes !== undefined) heedProgress(line, onBytes)
    }
    const given = input === undefined ? {} : { input }
    const result = await runCommand(['git', ...args], { cwd: directory, env, timeoutMs, onLine, ...given })
    return { ...result, output: lines.join('\n') }
  }
  return {
    read: async (directory, args, options = {}) => {
      const { code, problem, lastLines, output } = await call(directory, args, options)
      if (code === 0) return output
      throw gitFailure(options.what ?? `run git ${args[0]}`, lastLines, problem)
    },
    ask: async (directory, args, options = {}) => {
      const { code, output } = await call(directory, args, options)
      return code === 0 ? output : null
    },
    problems: ssh.problem === null ? [] : [ssh.problem],
  }
}

function baseEnvironment({ git, environment, secret }: GitSource, ssh: string): Record<string, string> {
  const settings = [...SETTINGS, ...credentialSettings(git, secret)]
  const passed = Object.entries(environment).filter(
    (entry): entry is [string, string] => PASSED.test(entry[0]) && entry[1] !== undefined,
  )
  const configuration = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return {
    ...Object.fromEntries(passed),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GIT_SSH_COMMAND: ssh,
    GIT_ALLOW_PROTOCOL: git.protocols.join(':'),
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(configuration),
  }
}

/** A header for one host; over http without TLS only where it does not leave the machine. */
function credentialSettings(git: PlannedGit, secret: GitSource['secret']): (readonly [string, string])[] {
  return git.credentials.flatMap(({ host, user, tokenSecret }) => {
    const token = secret(tokenSecret)
    if (token === null) return []
    const header = `Authorization: Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`
    const scheme = /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(host) ? ['https', 'http'] : ['https']
    return scheme.map((name) => [`http.${name}://${host}/.extraHeader`, header] as const)
  })
}

const UNITS: Readonly<Record<string, number>> = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** `Receiving objects:  42% (12/30), 1.20 MiB | 2.00 MiB/s` */
function heedProgress(line: string, onBytes: (bytes: number) => void): void {
  const received = /^Receiving objects:.*, ([0-9.]+) (bytes|KiB|MiB|GiB)\b/.exec(line)
  if (received !== null) onBytes(Math.round(Number(received[1]) * UNITS[received[2]!]!))
}
