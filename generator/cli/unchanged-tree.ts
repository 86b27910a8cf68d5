import { lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs'
import { treeIsUnchanged } from '../write/drift.ts'
import { type FileRecord, formatMode, MANIFEST_PATH, sha256 } from '../write/manifest.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import { layerFiles, readLayers, readLockOf } from './layers.ts'
import { recordedVariables, treeInputs } from './tree-inputs.ts'

/** A manifest as it stands in its file. */
interface WrittenManifest {
  readonly state: string
  readonly inputs: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, Omit<FileRecord, 'mode'> & { readonly mode: string }>>
}

/**
 * Whether `render` has nothing to do, found without compiling anything: the tree was made from these very inputs and is
 * untouched since. Gives the number of its files, `null` where a compilation must tell.
 */
export function countUnchangedFiles({ words, values }: Invocation<'render'>, host: Host): number | null {
  if (values.json || values.watch || values['dry-run']) return null
  const files = layerFiles(words, values.file)
  // What was read from standard input could not be read again.
  if (files.includes('-')) return null
  const manifest = readManifest(values.out)
  const variables = manifest && recordedVariables(manifest.inputs)
  if (!manifest || !variables) return null
  const inputsOf = { sources: readLayers(files), lock: readLockOf(files) }
  const request = { values, ...inputsOf, programDirectory: host.programDirectory }
  const inputs = treeInputs(request, host.environment, variables)
  const isSame = Object.keys(inputs).every((name) => inputs[name] === manifest.inputs[name])
  if (!isSame) return null
  // A check is asked for its word, a render for its speed.
  const isUntouched = values.check ? treeIsUnchanged(values.out, inputs) : looksUntouched(values.out, manifest)
  return isUntouched ? Object.keys(manifest.files).length : null
}

/** The manifest of a finished tree; `null` where anything else is beside it. */
function readManifest(root: string): WrittenManifest | null {
  try {
    const [name, ...others] = readdirSync(`${root}/${MANIFEST_PATH.slice(0, MANIFEST_PATH.lastIndexOf('/'))}`)
    if (name === undefined || !MANIFEST_PATH.endsWith(`/${name}`) || others.length > 0) return null
    const manifest = JSON.parse(readFileSync(`${root}/${MANIFEST_PATH}`, 'utf8')) as WrittenManifest
    return manifest.state === 'complete' ? manifest : null
  } catch {
    return null
  }
}

/**
 * Whether every file has its size and mode, and was last changed before the manifest was written. The kernel sets the
 * time of the last change itself, and a copy of a tree keeps the time of the last write; where neither can prove it, the
 * content is read. Reading all of them would take longer than the rest of the run.
 */
function looksUntouched(root: string, { files }: WrittenManifest): boolean {
  try {
    const written = lstatSync(`${root}/${MANIFEST_PATH}`)
    for (const path in files) {
      const record = files[path]!
      const file = `${root}/${path}`
      const stats = lstatSync(file)
      if (!stats.isFile() || stats.size !== record.sizeBytes) return false
      if (formatMode(stats.mode & 0o7777) !== record.mode) return false
      if (!isOlder(stats, written) && sha256(readFileSync(file)) !== record.sha256) return false
    }
    return true
  } catch {
    return false
  }
}

function isOlder(file: Stats, manifest: Stats): boolean {
  return file.ctimeMs < manifest.ctimeMs && file.mtimeMs < manifest.mtimeMs
}
