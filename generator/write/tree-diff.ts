import type { Artifact } from '../artifact.ts'
import { byCodeUnits } from './artifact-path.ts'
import { compare, ownedBy, wantedFiles } from './compare.ts'
import { type Disk, EMPTY_DISK, openDisk } from './disk.ts'
import { type FileSystem, NODE_FILE_SYSTEM } from './file-system.ts'
import { NO_TREE, readTreeState } from './manifest.ts'
import { findOutputDirectory } from './output-directory.ts'
import { type FileVersion, unifiedDiff } from './unified-diff.ts'

/**
 * The patch from the output directory to the artifacts, files in the order of their paths; empty where `render` would
 * change no file. Foreign files in the place of artifacts are shown as `--force` would change them.
 * @throws WriteError `READ_FAILED`, `BAD_ARTIFACT`
 */
export function diffTree(
  outputDirectory: string,
  artifacts: readonly Artifact[],
  fs: FileSystem = NODE_FILE_SYSTEM,
): string {
  const { root, exists } = findOutputDirectory(outputDirectory, 'READ_FAILED', fs)
  const wanted = wantedFiles(artifacts)
  const { manifest, journal } = exists ? readTreeState(root, fs) : NO_TREE
  const disk = exists ? openDisk(root, fs) : EMPTY_DISK
  const findings = [...compare({ wanted, owned: ownedBy(manifest, journal), disk, force: true })]
  const versions = new Map(wanted.map((file) => [file.path, file]))
  const paths = findings.map((finding) => finding.path).sort(byCodeUnits)
  return paths.map((path) => unifiedDiff(path, versionOnDisk(path, disk), versions.get(path))).join('')
}

function versionOnDisk(path: string, disk: Disk): FileVersion | undefined {
  const entry = disk.entry(path)
  const content = entry.kind === 'file' ? entry.read() : undefined
  return entry.kind === 'file' && content !== undefined ? { mode: entry.mode, content } : undefined
}
