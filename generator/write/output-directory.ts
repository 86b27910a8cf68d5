import { resolve } from 'node:path'
import type { FileSystem } from './file-system.ts'
import { naming, systemCode, writeError } from './write-error.ts'

/**
 * The absolute path of an output directory, and whether it exists. It may itself be a link: the user named it.
 * @throws WriteError `code`, where something else is in its place
 */
export function findOutputDirectory(
  outputDirectory: string,
  code: 'READ_FAILED' | 'WRITE_FAILED',
  fs: FileSystem,
): { readonly root: string; readonly exists: boolean } {
  const named = resolve(outputDirectory)
  return naming(code, outputDirectory, () => {
    try {
      const root = fs.realpathSync(named)
      if (!fs.lstatSync(root).isDirectory()) throw writeError(code, outputDirectory, 'it is not a directory')
      return { root, exists: true }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      return { root: named, exists: false }
    }
  })
}
