import type { Plan } from '../../schema/plan.ts'

/** The artifact path of a file of the machine: relative to the root of its tree. */
export function artifactPath(plan: Plan, path: string): string {
  const root = plan.paths.root === '/' ? '/' : `${plan.paths.root}/`
  if (!path.startsWith(root)) throw new Error(`cannot emit "${path}": it is not below "${plan.paths.root}"`)
  return path.slice(root.length)
}
