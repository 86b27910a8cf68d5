import { hash } from 'node:crypto'
import { basename, isAbsolute, normalize } from 'node:path'
import { showable } from '../diagnostics/terminal-text.ts'
import type { MachineSource } from '../load/load-machine.ts'

/**
 * The first line of generated files: what they are made from, and how to make them again. The same on every host: of an
 * absolute path, or one that leaves the directory, only the name is told; options may be secret and are only hashed.
 */
export function markerOf(sources: readonly MachineSource[], sets: readonly string[]): string {
  const names = sources.map(({ file }) => shownName(file)).join(' ')
  const digest = hashOf([...sources.map(({ text }) => text), ...sets]).slice(0, 12)
  return `Made by machinegen from ${names} (sha256 ${digest}): edit that and run "machinegen render ${names}".`
}

function shownName(file: string): string {
  if (file === 'stdin') return '-'
  const path = normalize(file)
  const name = isAbsolute(path) || path.startsWith('..') ? basename(path) : path
  // Nothing in it may end the comment or the line that it stands in.
  return /^[\w.,:@%+/-]+$/.test(name) ? name : JSON.stringify(showable(name)).replaceAll('*/', '* /')
}

/** Hash of a list of texts: no two lists give the same. */
export function hashOf(texts: readonly (string | Uint8Array)[]): string {
  return hash('sha256', texts.map((text) => hash('sha256', text)).join('\n'))
}
