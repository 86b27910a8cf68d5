import { readFileSync, statSync } from 'node:fs'
import type { Plan } from '../../schema/plan.ts'
import type { Artifact } from '../artifact.ts'
import { artifactPath } from '../emit/artifact-path.ts'
import { PROGRAM_HASHES, PROGRAMS } from './build-facts.ts'

/** machinegen's own programs as files of a container's tree; a local machine runs them where they are installed. */
export function programArtifacts(plan: Plan, programDirectory: string): readonly Artifact[] {
  if (plan.target !== 'container') return []
  const directory = artifactPath(plan, plan.paths.programs)
  const used = PROGRAMS.filter((name) => name !== 'simulate' || plan.simulate)
  const programs = used.map((name) =>
    program(`${directory}/${name}.js`, `${programDirectory}/${name}.js`, PROGRAM_HASHES[name]),
  )
  // Node takes them for ES modules only where the nearest package.json says so.
  const manifest = {
    path: `${directory}/package.json`,
    mode: 0o644,
    content: '{"type":"module"}\n',
    source: 'programs',
  }
  return [...programs, manifest]
}

/** One that was built with this compiler is only copied: together they have more than a megabyte. */
function program(path: string, file: string, sha256: string | undefined): Artifact {
  const artifact = { path, mode: 0o755, source: 'programs' }
  if (sha256 === undefined) return { ...artifact, content: readFileSync(file) }
  let content: Uint8Array | undefined
  return {
    ...artifact,
    original: { path: file, sha256, sizeBytes: statSync(file).size },
    get content() {
      content ??= readFileSync(file)
      return content
    },
  }
}
