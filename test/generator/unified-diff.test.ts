import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Artifact } from '../../generator/artifact.ts'
import { diffLines } from '../../generator/write/line-diff.ts'
import { diffTree } from '../../generator/write/tree-diff.ts'
import { unifiedDiff } from '../../generator/write/unified-diff.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { artifact, treeOf, treeOn } from './written-trees.ts'

const version = (content: string | Uint8Array, mode = 0o644) => ({ content, mode })

/** Writes artifacts as a plain directory that no run has touched. */
function directoryOf(artifacts: readonly Artifact[]): string {
  const directory = temporaryDirectory()
  for (const { path, content, mode } of artifacts) {
    mkdirSync(`${directory}/${path}`.replace(/\/[^/]*$/, ''), { recursive: true })
    writeFileSync(`${directory}/${path}`, content)
    chmodSync(`${directory}/${path}`, mode)
  }
  return directory
}

function patchWith(command: string, args: readonly string[], directory: string, patch: string): void {
  const env = { ...process.env, GIT_DIR: '/nonexistent', GIT_CEILING_DIRECTORIES: '/' }
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: directory, input: patch, encoding: 'utf8', env })
  assert.is(status, 0, `${command} refuses the patch: ${stdout}${stderr}\n${patch}`)
}

const gitApply = (directory: string, patch: string) => patchWith('git', ['apply', '-'], directory, patch)
const patchP1 = (directory: string, patch: string) =>
  patchWith('patch', ['-p1', '--binary', '--force', '--fuzz=0'], directory, patch)

function apply(replacements: ReturnType<typeof diffLines>, oldLines: string[], newLines: string[]): string[] {
  const lines: string[] = []
  let at = 0
  for (const { oldStart, oldEnd, newStart, newEnd } of replacements) {
    lines.push(...oldLines.slice(at, oldStart), ...newLines.slice(newStart, newEnd))
    at = oldEnd
  }
  return [...lines, ...oldLines.slice(at)]
}

function editCount(replacements: ReturnType<typeof diffLines>): number {
  return replacements.reduce((sum, part) => sum + part.oldEnd - part.oldStart + part.newEnd - part.newStart, 0)
}

/** By the textbook's table: everything that is in no longest common subsequence. */
function leastEdits(a: string[], b: string[]): number {
  let row = new Array<number>(b.length + 1).fill(0)
  for (const line of a) {
    const next = [0]
    for (let column = 0; column < b.length; column++)
      next.push(line === b[column] ? row[column]! + 1 : Math.max(row[column + 1]!, next[column]!))
    row = next
  }
  return a.length + b.length - 2 * row[b.length]!
}

test('replacements turn the old lines into the new ones, with as few edits as possible', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 25 })
  fc.assert(
    fc.property(lines, lines, (oldLines, newLines) => {
      const replacements = diffLines(oldLines, newLines)
      assert.equal(apply(replacements, oldLines, newLines), newLines)
      assert.is(editCount(replacements), leastEdits(oldLines, newLines))
    }),
    { numRuns: 2000 },
  )
})

test('texts that differ in everything or are huge take bounded time and are still right', () => {
  const numbered = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name} ${index}`)
  const pairs: [string[], string[]][] = [
    [numbered('a', 30_000), numbered('b', 30_000)],
    [numbered('a', 300_000), numbered('a', 300_000).filter((_, index) => index % 50_000 !== 7)],
    [numbered('a', 30_000), numbered('a', 30_000).reverse()],
    [Array(20_000).fill('same'), Array(19_000).fill('same')],
  ]
  for (const [oldLines, newLines] of pairs) {
    const startedMs = performance.now()
    const replacements = diffLines(oldLines, newLines)
    assert.ok(performance.now() - startedMs < 5000, 'it takes too long')
    assert.equal(apply(replacements, oldLines, newLines), newLines)
  }
  assert.is(editCount(diffLines(...pairs[1]!)), 6)
})

test('a change is shown with three lines around it, and near changes share a hunk', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index + 1}\n`)
  const changed = lines.map((line, index) => ([4, 10, 25].includes(index) ? `changed ${line}` : line))
  assert.is(
    unifiedDiff('etc/file', version(lines.join('')), version(changed.join(''))),
    `diff --git a/etc/file b/etc/file
--- a/etc/file
+++ b/etc/file
@@ -2,13 +2,13 @@
 line 2
 line 3
 line 4
-line 5
+changed line 5
 line 6
 line 7
 line 8
 line 9
 line 10
-line 11
+changed line 11
 line 12
 line 13
 line 14
@@ -23,7 +23,7 @@
 line 23
 line 24
 line 25
-line 26
+changed line 26
 line 27
 line 28
 line 29
`,
  )
})

test('a last line without a newline is told apart from one with it', () => {
  assert.is(
    unifiedDiff('file', version('a\nb'), version('a\nb\n')),
    `diff --git a/file b/file
--- a/file
+++ b/file
@@ -1,2 +1,2 @@
 a
-b
\\ No newline at end of file
+b
`,
  )
})

test('equal versions give nothing, a new mode alone gives two lines', () => {
  assert.is(unifiedDiff('file', version('a'), version(Buffer.from('a'))), '')
  assert.is(unifiedDiff('file', undefined, undefined), '')
  assert.is(
    unifiedDiff('file', version('a'), version('a', 0o755)),
    'diff --git a/file b/file\nold mode 100644\nnew mode 100755\n',
  )
})

test('binary content is not shown', () => {
  const binaries = [Buffer.from([1, 0, 2]), Buffer.from([0xff, 0xfe, 0x41])]
  for (const binary of binaries)
    assert.is(
      unifiedDiff('file', version('text'), version(binary)),
      'diff --git a/file b/file\nBinary files a/file and b/file differ\n',
    )
})

test('the content of a file that was or becomes secret is never shown, its mode is', () => {
  const cases = [
    [version('TOKEN=1\n', 0o600), version('TOKEN=2\n', 0o600)],
    [version('TOKEN=1\n', 0o600), version('open\n', 0o644)],
    [version('TOKEN=1\n', 0o644), version('TOKEN=2\n', 0o600)],
    [undefined, version('TOKEN=1\n', 0o600)],
    [version('TOKEN=1\n', 0o400), undefined],
  ]
  for (const [before, after] of cases) {
    const patch = unifiedDiff('env', before, after)
    assert.match(patch, /secret content differs/)
    assert.not.match(patch, /TOKEN|open$/m)
  }
  assert.match(unifiedDiff('env', ...(cases[1] as [never, never])), /old mode 100600\nnew mode 100644/)
})

const RICH_BEFORE = [
  artifact('a/changed', 'one\ntwo\nthree\n'),
  artifact('a/mode', '#!/bin/sh\n'),
  artifact('a/both', '#!/bin/sh\n'),
  artifact('gone', 'bye'),
  artifact('grows', ''),
  artifact('shrinks', 'all of it\n'),
  artifact('with space', 'a\n'),
  artifact('tab\tand "quote" \\', 'a\n'),
  artifact('ünïcode', 'ä\r\nö\r\n'),
]
const RICH_AFTER = [
  artifact('a/changed', 'one\n2\nthree\nfour'),
  artifact('a/mode', '#!/bin/sh\n', 0o755),
  artifact('a/both', '#!/bin/sh\nexit\n', 0o755),
  artifact('grows', '\n\n'),
  artifact('new/deep/file', 'hello\n'),
  artifact('new/run', '#!/bin/sh\n', 0o755),
  artifact('shrinks', ''),
  artifact('with space', 'b\n'),
  artifact('tab\tand "quote" \\', 'b\n'),
  artifact('ünïcode', 'ä\r\nö\n'),
]

/** The patch between two trees; `diffTree` knows an orphan only by a manifest, so deletions are added here. */
function patchBetween(before: readonly Artifact[], after: readonly Artifact[]): string {
  const gone = before.filter((file) => !after.some((other) => other.path === file.path))
  return diffTree(directoryOf(before), after) + gone.map((file) => unifiedDiff(file.path, file, undefined)).join('')
}

/** Modes by git's notion: executable or not. */
function gitTree(tree: Record<string, string>): [string, string][] {
  return Object.entries(tree)
    .filter(([, what]) => what !== 'directory')
    .map(([path, what]) => [path, `${/^0[0-7]*[1357]/.test(what) ? 'x' : '-'}${what.slice(4)}`])
}

for (const [name, applyPatch] of [
  ['git apply', gitApply],
  ['patch -p1', patchP1],
] as const)
  test(`${name} turns one tree into the other: new, deleted, empty and changed files, odd names and modes`, () => {
    const directory = directoryOf(RICH_BEFORE)
    applyPatch(directory, patchBetween(RICH_BEFORE, RICH_AFTER))
    assert.equal(gitTree(treeOn(directory)), gitTree(treeOf(RICH_AFTER)))
  })

test('a secret among other changes does not keep git or patch from applying those', () => {
  const secret = (path: string, text: string, mode = 0o600) => artifact(path, `TOKEN=${text}\n`, mode)
  const before = [artifact('a', '1\n'), secret('env', '1'), secret('gone', '1'), secret('mode', '1', 0o700)]
  const after = [artifact('a', '2\n'), secret('env', '2'), secret('mode', '2'), secret('new', '2')]
  for (const applyPatch of [gitApply, patchP1]) {
    const directory = directoryOf(before)
    applyPatch(directory, patchBetween(before, after))
    assert.equal(gitTree(treeOn(directory)), gitTree(treeOf([after[0]!, before[1]!, before[2]!, secret('mode', '1')])))
  }
})

test('git apply and patch accept any random edit of lines, and give exactly the new text', () => {
  const line = fc.oneof(
    fc.constantFrom(
      '',
      'a',
      'b',
      '-',
      '+',
      ' ',
      '@@ -1 +1 @@',
      '--- a/file',
      '+++ b/file',
      '\\ No newline',
      'x\r',
      'é',
    ),
    fc.string({ maxLength: 5 }).map((text) => text.replaceAll(/[\n\0]/g, '')),
  )
  const lines = fc.array(line, { maxLength: 30 })
  const edit = fc.record({ at: fc.nat(30), remove: fc.nat(4), insert: fc.array(line, { maxLength: 4 }) })
  const text = (all: string[], isEnded: boolean) => all.join('\n') + (isEnded && all.length > 0 ? '\n' : '')
  const changes = fc.record({
    lines,
    edits: fc.array(edit, { maxLength: 4 }),
    before: fc.boolean(),
    after: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(changes, { minLength: 8, maxLength: 8 }), (files) => {
      const before: Artifact[] = []
      const after: Artifact[] = []
      for (const [index, file] of files.entries()) {
        const edited = [...file.lines]
        for (const { at, remove, insert } of file.edits) edited.splice(at, remove, ...insert)
        before.push(artifact(`file${index}`, text(file.lines, file.before)))
        after.push(artifact(`file${index}`, text(edited, file.after)))
      }
      const patch = patchBetween(before, after)
      if (patch === '') return
      for (const applyPatch of [gitApply, patchP1]) {
        const directory = directoryOf(before)
        applyPatch(directory, patch)
        assert.equal(treeOn(directory), treeOf(after))
      }
    }),
    { numRuns: 60 },
  )
})

test.run()
