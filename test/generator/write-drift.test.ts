import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyTree } from '../../generator/write/apply.ts'
import { compareTree, treeIsUnchanged, verifyAgainstManifest } from '../../generator/write/drift.ts'
import { diffTree } from '../../generator/write/tree-diff.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { artifact } from './written-trees.ts'

const TREE = [
  artifact('a/changed', 'one\n'),
  artifact('a/mode', '', 0o755),
  artifact('missing', ''),
  artifact('z', 'z\n'),
]
const INPUTS = { machine: 'abc' }

function rendered(): string {
  const out = `${temporaryDirectory()}/out`
  applyTree({ outputDirectory: out, artifacts: TREE, inputs: INPUTS })
  return out
}

function edit(out: string): void {
  writeFileSync(`${out}/a/changed`, 'two\n')
  chmodSync(`${out}/a/mode`, 0o700)
  rmSync(`${out}/missing`)
}

const EDITS = [
  { path: 'a/changed', kind: 'changed', message: 'has other content' },
  { path: 'a/mode', kind: 'mode', message: 'has mode 0700, not 0755' },
  { path: 'missing', kind: 'missing', message: 'is missing' },
]

test('a tree as rendered has no drift, by its artifacts and by its manifest', () => {
  const out = rendered()
  assert.equal(compareTree(out, TREE), [])
  assert.equal(verifyAgainstManifest(out), { state: 'complete', inputs: INPUTS, drift: [] })
  assert.is(diffTree(out, TREE), '')
})

test('every edit by hand is found, by the artifacts and by the manifest', () => {
  const out = rendered()
  edit(out)
  assert.equal(compareTree(out, TREE), EDITS)
  assert.equal(verifyAgainstManifest(out).drift, EDITS)
})

test('an edit that keeps the size is found', () => {
  const out = rendered()
  writeFileSync(`${out}/z`, 'y\n')
  assert.is(treeIsUnchanged(out, INPUTS), false)
  assert.is(verifyAgainstManifest(out).drift[0]?.kind, 'changed')
})

test('orphans are found only by the artifacts, foreign files by nobody', () => {
  const out = rendered()
  writeFileSync(`${out}/foreign`, '')
  assert.equal(compareTree(out, TREE.slice(0, 3)), [
    { path: 'z', kind: 'orphaned', message: 'is no part of this machine any more' },
  ])
  assert.equal(verifyAgainstManifest(out).drift, [])
})

test('links and directories in the place of files, and links on the way, are found', () => {
  const out = rendered()
  rmSync(`${out}/z`)
  symlinkSync('missing', `${out}/z`)
  rmSync(`${out}/missing`)
  mkdirSync(`${out}/missing`)
  rmSync(`${out}/a`, { recursive: true })
  symlinkSync('/tmp', `${out}/a`)
  const expected = [
    ['a/changed', 'missing'],
    ['a/mode', 'missing'],
    ['missing', 'changed'],
    ['z', 'changed'],
  ]
  assert.equal(
    verifyAgainstManifest(out).drift.map(({ path, kind }) => [path, kind]),
    expected,
  )
  assert.equal(
    compareTree(out, TREE).map(({ path }) => path),
    expected.map(([path]) => path),
  )
})

test('a directory that does not exist is absent, and everything is missing from it', () => {
  const out = `${temporaryDirectory()}/out`
  assert.equal(verifyAgainstManifest(out), { state: 'absent', drift: [] })
  assert.equal(
    compareTree(out, TREE).map(({ kind }) => kind),
    ['missing', 'missing', 'missing', 'missing'],
  )
  assert.is(treeIsUnchanged(out, INPUTS), false)
})

test('a tree that nobody has a manifest of is compared by its content alone', () => {
  const out = rendered()
  rmSync(`${out}/.machinegen`, { recursive: true })
  assert.is(verifyAgainstManifest(out).state, 'absent')
  assert.equal(compareTree(out, TREE), [])
  edit(out)
  assert.equal(
    compareTree(out, TREE).map(({ path, kind }) => [path, kind]),
    EDITS.map(({ path, kind }) => [path, kind === 'mode' ? 'mode' : kind]),
  )
})

test('an unfinished tree is drift even where every file is right', () => {
  const out = rendered()
  writeFileSync(`${out}/.machinegen/unfinished`, '{"version": 1, "state": "unfinished", "files": {}}')
  const [first, ...rest] = compareTree(out, TREE)
  assert.equal([first?.path, first?.kind, rest], ['.machinegen/unfinished', 'unfinished', []])
  assert.is(verifyAgainstManifest(out).state, 'unfinished')
  assert.is(treeIsUnchanged(out, INPUTS), false)
})

test('a tree is unchanged only with the same inputs, every file as written and nothing left over', () => {
  const out = rendered()
  assert.is(treeIsUnchanged(out, INPUTS), true)
  assert.is(treeIsUnchanged(out, { machine: 'abd' }), false)
  assert.is(treeIsUnchanged(out, {}), false)
  assert.is(treeIsUnchanged(out, { ...INPUTS, base: 'x' }), false)
  writeFileSync(`${out}/.machinegen/manifest.json.tmp`, '')
  assert.is(treeIsUnchanged(out, INPUTS), false)
  applyTree({ outputDirectory: out, artifacts: TREE, inputs: INPUTS })
  assert.is(treeIsUnchanged(out, INPUTS), true)
  edit(out)
  assert.is(treeIsUnchanged(out, INPUTS), false)
})

test('the diff of a tree shows every file that a run would change, in order, and no other', () => {
  const out = rendered()
  edit(out)
  const next = [...TREE.slice(0, 3), artifact('new', 'new\n')]
  assert.is(
    diffTree(out, next),
    `diff --git a/a/changed b/a/changed
--- a/a/changed
+++ b/a/changed
@@ -1 +1 @@
-two
+one
diff --git a/a/mode b/a/mode
old mode 100700
new mode 100755
diff --git a/missing b/missing
new file mode 100644
diff --git a/new b/new
new file mode 100644
--- /dev/null
+++ b/new
@@ -0,0 +1 @@
+new
diff --git a/z b/z
deleted file mode 100644
--- a/z
+++ /dev/null
@@ -1 +0,0 @@
-z
`,
  )
})

test.run()
