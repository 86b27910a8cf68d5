import { readFileSync } from 'node:fs'
import type { Plan } from '../../schema/plan.ts'
import type { Artifact } from '../artifact.ts'
import { artifactPath } from '../emit/artifact-path.ts'
import { PROGRAM_HASHES, PROGRAMS } from './build-facts.ts'

/** machinegen's own programs as files of a container's tree; a local machine runs them where they are installed. */
export function programArtifacts(plan: Plan, programDirectory: string): readonly Artifact[] {
  if (plan.target !== 'container') return []
  const directory = artifactPath(plan, plan.paths.programs)
  const used = PROGRAMS.filter((name) => name !== 'simulate' || plan.simulate)
  const programs = used.map((name) => {
    const sha256 = PROGRAM_HASHES[name]
    return {
      path: `${directory}/${name}.js`,
      mode: 0o755,
      content: readFileSync(`${programDirectory}/${name}.js`),
      ...(sha256 === undefined ? {} : { sha256 }),
      source: 'programs',
    }
  })
  // Node takes them for ES modules only where the nearest package.json says so.
  const manifest = {
    path: `${directory}/package.json`,
    mode: 0o644,
    content: '{"type":"module"}\n',
    source: 'programs',
  }
  return [...programs, manifest]
}
