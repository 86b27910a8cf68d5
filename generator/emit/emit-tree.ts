import type { Plan } from '../../schema/plan.ts'
import type { Artifact } from '../artifact.ts'
import { staticFiles } from '../generated/static-files.ts'
import { artifactPath } from './artifact-path.ts'
import { emitComfyui } from './comfyui/emit-comfyui.ts'
import { emitNginx } from './nginx/emit-nginx.ts'
import { shellCommand } from './quote/shell.ts'
import { emitContainerTree } from './s6/emit-container.ts'
import { emitLocalTree } from './s6/emit-local.ts'
import { emitSharedEnvironment } from './s6/shared-environment.ts'
import { emitSshd } from './ssh/emit-sshd.ts'

export interface EmitOptions {
  /** Secrets that stood in the machine file in clear, by name. */
  readonly literalSecrets: ReadonlyMap<string, { readonly value: string }>
  /** First line of every file that can have comments. */
  readonly marker: string
}

/** All files of a machine, sorted by path. */
export function emitTree(plan: Plan, { literalSecrets, marker }: EmitOptions): Artifact[] {
  const artifacts = [
    ...(plan.target === 'container' ? emitContainerTree(plan, marker) : emitLocalTree(plan, marker)),
    ...emitSharedEnvironment(plan),
    ...emitNginx(plan, marker),
    ...emitComfyui(plan, marker),
    ...emitSshd(plan, marker),
    library(plan),
    ...healthcheck(plan, marker),
    planFile(plan),
    ...secretFiles(plan, literalSecrets),
  ]
  return inOrder(artifacts)
}

function library(plan: Plan): Artifact {
  const path = artifactPath(plan, `${plan.paths.library}/service.sh`)
  return { path, mode: 0o644, content: staticFiles['/usr/lib/machinegen/service.sh'], source: 's6' }
}

/** What a container engine asks now and then; it starts no Node. */
function healthcheck(plan: Plan, marker: string): Artifact[] {
  if (plan.target !== 'container') return []
  const { address, port } = plan.sidecar
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}/health`
  const command = ['exec', 'curl', '--globoff', '--fail', '--silent', '--output', '/dev/null', '--max-time', '4', url]
  const content = `#!/bin/sh\n# ${marker}\n${shellCommand(command)}\n`
  return [{ path: artifactPath(plan, `${plan.paths.library}/healthcheck`), mode: 0o755, content, source: 's6' }]
}

function planFile(plan: Plan): Artifact {
  const path = artifactPath(plan, `${plan.paths.config}/plan.json`)
  return { path, mode: 0o644, content: `${JSON.stringify(plan, null, 2)}\n`, source: 'plan' }
}

function secretFiles(plan: Plan, literals: EmitOptions['literalSecrets']): Artifact[] {
  return plan.secrets.flatMap(({ name, source }) => {
    if (source.kind !== 'literal') return []
    const content = literals.get(name)?.value ?? ''
    return [{ path: artifactPath(plan, source.file), mode: 0o600, content, source: 'secrets' }]
  })
}

/** Sorted by path, each of which may stand once. The emitters give most of them in order, which makes this one pass. */
function inOrder(artifacts: readonly Artifact[]): Artifact[] {
  const sorted = [...artifacts].sort((a, b) => byCodeUnits(a.path, b.path))
  sorted.forEach((artifact, index) => {
    const before = sorted[index - 1]
    if (before?.path !== artifact.path) return
    throw new Error(`cannot emit "${artifact.path}" twice: ${before.source} and ${artifact.source} both make it`)
  })
  return sorted
}

/** The same order everywhere, whatever the locale. */
const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
