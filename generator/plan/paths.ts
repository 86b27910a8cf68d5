import type { Machine } from '../../schema/machine.ts'
import type { MachinePaths } from '../../schema/plan.ts'

/** Where the programs of machinegen are, and for the local target where everything goes. */
export type PathOptions =
  /** `root`: where the tree stands in the container, where that is not `/`: an image whose own root is read-only. */
  | { readonly target: 'container'; readonly root?: string }
  | { readonly target: 'local'; readonly stateDirectory: string; readonly programDirectory: string }

/** The paths of a machine on a target, absolute and without a slash at the end. */
export function planPaths(paths: Machine['paths'], options: PathOptions): MachinePaths {
  const workspace = options.target === 'container' ? cleanPath(paths.workspace) : `${options.stateDirectory}/workspace`
  const inWorkspace = (path: string) => {
    const placed = placePath(path, paths.workspace, workspace)
    const isInside = placed === workspace || placed.startsWith(`${workspace}/`)
    // A trial on a laptop writes nothing outside its state directory.
    return options.target === 'container' || isInside ? placed : `${options.stateDirectory}/outside${placed}`
  }
  const shared = inWorkspace(paths.shared)
  const logs = inWorkspace(paths.logs)
  const state = `${workspace}/.machine`
  if (options.target === 'container') {
    const root = cleanPath(options.root ?? '/')
    return {
      root: root === '/' ? '/' : root,
      workspace,
      shared,
      logs,
      state,
      config: `${root === '/' ? '' : root}/etc/machinegen`,
      library: `${root === '/' ? '' : root}/usr/lib/machinegen`,
      programs: `${root === '/' ? '' : root}/usr/lib/machinegen`,
      run: '/run/machine',
      gates: '/run/machine/ready',
      services: '/run/service',
    }
  }
  const root = options.stateDirectory
  return {
    root,
    workspace,
    shared,
    logs,
    state,
    config: `${root}/config`,
    library: `${root}/library`,
    programs: options.programDirectory,
    run: `${root}/run`,
    gates: `${root}/run/ready`,
    services: `${root}/services`,
  }
}

/**
 * A path of the machine file on the machine: relative ones start at the workspace, those below the workspace move with
 * it, others stay.
 */
export function placePath(path: string, declaredWorkspace: string, workspace: string): string {
  const clean = cleanPath(path)
  const declared = cleanPath(declaredWorkspace)
  if (clean === declared) return workspace
  if (clean.startsWith(`${declared}/`)) return `${workspace}${clean.slice(declared.length)}`
  if (clean.startsWith('/')) return clean
  return clean === '' ? workspace : `${workspace}/${clean}`
}

/** Without empty and `.` segments, and without a slash at the end. */
function cleanPath(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.')
  return (path.startsWith('/') ? '/' : '') + segments.join('/')
}
