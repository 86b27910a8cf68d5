/**
 * Each directory of test/golden/ is a case: its machine files in the order of their names, `case.json` with what else
 * goes in, and what came out: `tree.txt` (every file with its mode) and `findings.txt`. `npm run golden` writes them
 * anew; the diff is the review.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import type { Artifact } from '../../generator/artifact.ts'
import { type CompileInput, compile } from '../../generator/compile.ts'
import { formatDiagnostics } from '../../generator/diagnostics/format.ts'

const GOLDEN = 'test/golden'
const update = process.env.UPDATE_GOLDEN === '1'

function readCase(directory: string): CompileInput {
  const files = readdirSync(directory)
    .filter((file) => /^machine.*\.(ya?ml|json)$/.test(file))
    .sort()
  const settings = join(directory, 'case.json')
  return {
    sources: files.map((file) => ({ file, text: readFileSync(join(directory, file)) })),
    ...(existsSync(settings) ? JSON.parse(readFileSync(settings, 'utf8')) : {}),
  }
}

function listing(artifacts: readonly Artifact[]): string {
  return artifacts
    .map(({ path, mode, content }) => `=== ${mode.toString(8).padStart(4, '0')} ${path}\n${indented(String(content))}`)
    .join('')
}

/** Content is indented, so that no line of a file can be taken for the head of another. */
const indented = (text: string): string =>
  text === ''
    ? ''
    : `${text.replace(/\n$/, '').replaceAll(/^/gm, '| ')}${text.endsWith('\n') ? '' : ' (no newline at the end)'}\n`

function compare(file: string, actual: string): void {
  if (update) writeFileSync(file, actual)
  else assert.equal(actual, readFileSync(file, 'utf8'), `${file} differs: npm run golden`)
}

for (const name of readdirSync(GOLDEN).sort()) {
  test(`the golden machine "${name}" compiles to its tree`, () => {
    const directory = join(GOLDEN, name)
    const { artifacts, diagnostics, texts } = compile(readCase(directory))
    compare(join(directory, 'tree.txt'), listing(artifacts))
    compare(join(directory, 'findings.txt'), formatDiagnostics(diagnostics, texts, { format: 'pretty', color: false }))
  })
}

test.run()
