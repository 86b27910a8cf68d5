import { accessSync, constants } from 'node:fs'
import { delimiter } from 'node:path'
import type { Plan } from '../../schema/plan.ts'

/** What `machinegen up` and the scripts of the services call, by the Debian package that has it. */
const S6_TOOLS = [
  's6-svscan',
  's6-supervise',
  's6-svc',
  's6-svwait',
  's6-svstat',
  's6-log',
  's6-envdir',
  's6-permafailon',
  's6-svdt',
  's6-svdt-clear',
  's6-tai64n',
]

export interface MissingPackage {
  readonly package: string
  readonly tools: readonly string[]
}

/** Directories where distributions have nginx, which the PATH of an ordinary user often lacks. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The PATH that the machine runs with: the user's, then the directories of system programs. */
export function machinePath(path: string | undefined): string {
  const own = (path ?? '').split(delimiter).filter((directory) => directory !== '')
  return [...new Set([...own, ...SYSTEM_DIRECTORIES])].join(delimiter)
}

/** The tools that are not on `path`, by package. */
export function missingTools(plan: Pick<Plan, 'proxy'>, path: string): readonly MissingPackage[] {
  const needed = [
    { package: 's6', tools: S6_TOOLS },
    ...(plan.proxy === null ? [] : [{ package: 'nginx-light', tools: ['nginx'] }]),
  ]
  return needed
    .map(({ tools, ...rest }) => ({ ...rest, tools: tools.filter((tool) => !isOnPath(tool, path)) }))
    .filter(({ tools }) => tools.length > 0)
}

/** `cannot find "s6-svscan": install the package "s6" (apt-get install s6)` */
export function describeMissing({ tools, package: name }: MissingPackage): string {
  const quoted = tools.map((tool) => `"${tool}"`).join(', ')
  return `cannot find ${quoted}: install the package "${name}" (apt-get install ${name})`
}

function isOnPath(tool: string, path: string): boolean {
  return path.split(delimiter).some((directory) => {
    try {
      accessSync(`${directory}/${tool}`, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
