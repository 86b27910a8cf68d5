import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { checkDirectory } from '../../generator/check/check-directory.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** Paths to texts; a path that ends in `/` is an empty directory, a text that begins with `-> ` a symbolic link. */
export type Files = Record<string, string>

/** Writes files below `directory`, by default a fresh temporary one, and says where. */
export function writeTree(files: Files, directory = temporaryDirectory()): string {
  for (const [path, text] of Object.entries(files)) {
    const target = join(directory, path)
    mkdirSync(path.endsWith('/') ? target : dirname(target), { recursive: true })
    if (text.startsWith('-> ')) symlinkSync(text.slice(3), target)
    else if (!path.endsWith('/')) writeFileSync(target, text)
  }
  return directory
}

/** The codes of a tree's findings, each once, sorted. */
export function codesOf(files: Files, overlayVersion?: string): string[] {
  const { diagnostics } = checkDirectory(writeTree(files), { overlayVersion, compile: false })
  return [...new Set(diagnostics.map((diagnostic) => diagnostic.code))].sort()
}

const prefixed = (name: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [`${name}/${path}`, text]))

/** A longrun without a fault, and what is said otherwise; a text of `absent` leaves a file out. */
export function longrun(name: string, files: Files = {}): Files {
  return prefixed(
    name,
    without({ type: 'longrun\n', run: '#!/bin/sh\nexec sleep 9\n', 'timeout-kill': '2000\n', ...files }),
  )
}

/** A oneshot without a fault, and what is said otherwise. */
export function oneshot(name: string, files: Files = {}): Files {
  return prefixed(name, without({ type: 'oneshot\n', up: '/bin/true\n', 'timeout-up': '5000\n', ...files }))
}

export function bundle(name: string, members: readonly string[], files: Files = {}): Files {
  const contents = Object.fromEntries(members.map((member) => [`contents.d/${member}`, '']))
  return prefixed(name, without({ type: 'bundle\n', ...contents, ...files }))
}

export const absent = '(absent)'

function without(files: Files): Files {
  return Object.fromEntries(Object.entries(files).filter(([, text]) => text !== absent))
}
