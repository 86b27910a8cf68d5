import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Artifact } from '../../generator/artifact.ts'
import { sha256 } from '../../generator/write/manifest.ts'
import { artifact } from './written-trees.ts'

export type TreeName = 'A' | 'B' | 'C'

/** A file whose content comes from another one. */
function copied(path: string): Artifact {
  const original = resolve('package.json')
  const content = readFileSync(original)
  return {
    ...artifact(path, content),
    original: { path: original, sha256: sha256(content), sizeBytes: content.length },
  }
}

/** Between them: files that come, go, change, stay, change their mode, and become directories and back. */
export function smallTree(name: TreeName): Artifact[] {
  const common = [
    artifact('s6/nginx/run', '#!/bin/sh\nexec nginx\n', 0o755),
    artifact('s6/nginx/type', 'longrun\n'),
    copied('lib/program.js'),
  ]
  const secret = artifact('env/secret', `TOKEN=${name}-${'s'.repeat(200)}\n`, 0o600)
  switch (name) {
    case 'A':
      return [...common, secret, artifact('conf', 'A'), artifact('old/deep/file', 'A'), artifact('s6/x', '', 0o755)]
    case 'B':
      return [...common, secret, artifact('conf', 'B'.repeat(500)), artifact('new/file', 'B'), artifact('s6/x', '')]
    case 'C':
      return [...common, secret, artifact('conf/part', 'C'), artifact('old', 'C'), artifact('s6/y/z', 'C')]
  }
}

const SERVICES = 300

/** The same at the size of a machine with many GPUs, so that a kill has something to hit. */
export function bigTree(name: TreeName): Artifact[] {
  const services = Array.from({ length: SERVICES }, (_, index) => {
    const directory = `s6-rc.d/service-${name === 'C' && index % 3 === 0 ? `other-${index}` : index}`
    return [
      artifact(`${directory}/type`, 'longrun\n'),
      artifact(`${directory}/run`, `#!/bin/sh\n# ${name}\n${'exec true\n'.repeat((index % 40) * 20)}`, 0o755),
      artifact(`${directory}/data/${index % 2 === 0 ? name : 'check'}`, `${name} ${index}\n`),
    ]
  })
  return [...smallTree(name), ...services.flat()]
}

/** How long a child waits between saying that it is ready and writing: its parent needs time to set the timer. */
export const HEAD_START_MS = 20
