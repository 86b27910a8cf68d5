import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Environment } from '../../../schema/interpolation.ts'
import type { MachinePaths, Target } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { runCommand } from '../framework/run-command.ts'
import type { Interpreter } from './python.ts'

/** How requirements are installed on this machine. */
export interface Installer {
  readonly interpreter: Interpreter
  readonly target: Target
  /** Environment of pip, uv and scripts. */
  readonly environment: Readonly<Record<string, string>>
  /** File that keeps the packages of the GPU stack at their versions. */
  readonly constraints: string
  readonly uv: string | null
}

/** Compiling a wheel for a GPU takes this long. */
const TIMEOUT_MS = 45 * 60_000

/** Names that hold a secret more often than not. What others wrote runs while their packages are installed. */
const SECRET =
  /(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|(API|ACCESS|PRIVATE|STORAGE|ACCOUNT|SSH)_?KEY(_ENCODED)?|CUT_PK_\d)($|_)|REDIS_URL$/i

/** Indices with passwords are what these are for. */
const OWN = /^(PIP|UV)_/i

/** Looks for uv, and writes the constraints. */
export function openInstaller(
  interpreter: Interpreter,
  target: Target,
  paths: Pick<MachinePaths, 'state'>,
  environment: Environment,
): Installer {
  const constraints = `${paths.state}/provision/node-constraints.txt`
  mkdirSync(dirname(constraints), { recursive: true })
  const lines = Object.entries(interpreter.frozen).map(([name, version]) => `${name}==${version}\n`)
  writeFileAtomically(constraints, lines.join(''), 0o644)
  const passed = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && (OWN.test(entry[0]) || !SECRET.test(entry[0])),
  )
  const bin = dirname(interpreter.executable)
  const path = environment.PATH ?? '/usr/local/bin:/usr/bin:/bin'
  return {
    interpreter,
    target,
    constraints,
    uv: findProgram('uv', path),
    environment: {
      ...Object.fromEntries(passed),
      // `python` and `pip` of a script are those of ComfyUI.
      PATH: `${bin}:${path}`,
      PIP_CONSTRAINT: constraints,
      UV_CONSTRAINT: constraints,
      PIP_NO_INPUT: '1',
      PIP_DISABLE_PIP_VERSION_CHECK: '1',
      PYTHONUNBUFFERED: '1',
      GIT_TERMINAL_PROMPT: '0',
    },
  }
}

function findProgram(name: string, path: string): string | null {
  const candidates = path.split(':').map((directory) => `${directory}/${name}`)
  return candidates.find(isExecutable) ?? null
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The requirements of a node, `null` where it has none. */
export function requirementsOf(directory: string): string | null {
  const file = `${directory}/requirements.txt`
  return existsSync(file) ? file : null
}

/** What an installation depends on: the requirements with all files that they refer to, and the packages they go to. */
export function requirementsKey(file: string, { interpreter, constraints }: Installer): string {
  const hash = createHash('sha256')
  const { executable, version, packages, identity } = interpreter
  hash.update(JSON.stringify([executable, version, packages, identity, readFileSync(constraints, 'utf8')]))
  const seen = new Set<string>()
  const add = (path: string): void => {
    if (seen.has(path) || !existsSync(path)) return
    seen.add(path)
    const text = readFileSync(path, 'utf8')
    hash.update(`\0${text}`)
    for (const [, other] of text.matchAll(/^\s*(?:-r|-c|--requirement|--constraint)[ =]+(\S+)/gm)) {
      if (other !== undefined && !other.includes('://')) add(resolve(join(dirname(path), other)))
    }
  }
  add(file)
  return hash.digest('hex')
}

/** Installs them, by uv where it is there and else by pip. Gives what is wrong, or `null`. */
export async function installRequirements(
  file: string,
  installer: Installer,
  hear: (line: string) => void,
): Promise<string | null> {
  const { interpreter, uv, target } = installer
  const { executable, isManaged, hasPip } = interpreter
  if (isManaged && target === 'local' && installer.environment.PIP_BREAK_SYSTEM_PACKAGES === undefined) {
    return `cannot install its requirements: "${executable}" belongs to this system; set services.comfyui.python to that of a virtual environment`
  }
  const options = ['--requirement', file, '--constraint', installer.constraints]
  if (isManaged) options.push('--break-system-packages')
  const tries: string[][] = []
  if (uv !== null) tries.push([uv, 'pip', 'install', '--python', executable, ...options])
  if (hasPip) tries.push([executable, '-m', 'pip', 'install', ...options])
  let problem = `cannot install its requirements: "${executable}" has no pip, and there is no uv`
  for (const command of tries) {
    const said: string[] = []
    const onLine = (line: string) => {
      said.push(line)
      if (TELLING.test(line)) hear(line.trim())
    }
    const result = await runCommand(command, {
      cwd: dirname(file),
      env: installer.environment,
      timeoutMs: TIMEOUT_MS,
      onLine,
    })
    if (result.code === 0) return null
    const why = result.problem ?? whyNot(said) ?? result.lastLines.at(-1) ?? `it ends with ${result.code}`
    problem = `cannot install its requirements: ${why}${frozenHint(said, interpreter)}`
  }
  return problem
}

/** What a log needs of some thousand lines. */
const TELLING = /^(ERROR|WARNING|Successfully installed|error:| [+~-] \S+==)|^\s+(×|╰─▶)/

function whyNot(lines: readonly string[]): string | null {
  const conflict = lines.find(
    (line) => /requires?\b.*(==|<|>|~=)|Because .* depends/.test(line) && /ERROR|╰|Because/.test(line),
  )
  const error = lines.findLast((line) => /^ERROR: (?!ResolutionImpossible)|^error: /.test(line))
  return (conflict ?? error)?.replace(/^(ERROR|error): /, '').trim() ?? null
}

function frozenHint(lines: readonly string[], { frozen }: Interpreter): string {
  const text = lines.join('\n')
  if (!/conflict|ResolutionImpossible|No solution found/i.test(text)) return ''
  const stay = Object.entries(frozen).filter(([name]) => new RegExp(`\\b${name}\\b`, 'i').test(text))
  if (stay.length === 0) return ''
  return ` (what the image has stays: ${stay.map(([name, version]) => `${name} ${version}`).join(', ')})`
}
