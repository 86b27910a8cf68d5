import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { encodePng } from '../png.ts'
import type { Picture } from './node-class.ts'

/**
 * Writes a batch as `<prefix>_<counter>_.png`, the counter one above the highest there, as SaveImage and PreviewImage do,
 * and gives the `images` that clients see. A prefix with slashes makes subfolders; one that leaves the directory throws.
 */
export function saveImages(
  picture: Picture,
  prefix: string,
  kind: 'output' | 'temp',
  directory: string,
  texts: Record<string, string>,
): Record<string, unknown> {
  const normal = normalize(
    prefix.replaceAll('%width%', String(picture.width)).replaceAll('%height%', String(picture.height)),
  )
  const subfolder = dirname(normal) === '.' ? '' : dirname(normal)
  if (normal.startsWith('..') || normal.startsWith('/')) {
    throw new Error('**** ERROR: Saving image outside the output folder is not allowed.')
  }
  const folder = join(directory, subfolder)
  mkdirSync(folder, { recursive: true })
  const name = basename(normal)
  let counter = nextCounter(folder, name)
  const images: unknown[] = []
  for (let index = 0; index < picture.count; index++, counter++) {
    const filename = `${name}_${String(counter).padStart(5, '0')}_.png`
    writeFileSync(join(folder, filename), encodePng(picture.width, picture.height, `${picture.seed} ${index}`, texts))
    images.push({ filename, subfolder, type: kind })
  }
  return { images }
}

function nextCounter(folder: string, name: string): number {
  const taken = readdirSync(folder)
    .filter((file) => file.startsWith(`${name}_`))
    .map((file) => Number.parseInt(file.slice(name.length + 1), 10))
    .filter((number) => Number.isInteger(number))
  return Math.max(0, ...taken) + 1
}
