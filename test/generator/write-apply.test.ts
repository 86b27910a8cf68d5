import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Artifact } from '../../generator/artifact.ts'
import { applyTree } from '../../generator/write/apply.ts'
import { NODE_FILE_SYSTEM } from '../../generator/write/file-system.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { artifact, stateNames, treeOf, treeOn } from './written-trees.ts'

const TREE = [
  artifact('etc/nginx/nginx.conf', 'events {}\n'),
  artifact('etc/s6/comfyui-gpu0/run', '#!/bin/sh\n', 0o755),
  artifact('etc/s6/comfyui-gpu0/data/check', 'gpu 0'),
  artifact('secret.env', 'TOKEN=x\n', 0o600),
]

/** Long ago, so that any write shows in the modification time. */
const PAST_SECONDS = 1_000_000_000

function age(directory: string): void {
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
    utimesSync(`${directory}/${path}`, PAST_SECONDS, PAST_SECONDS)
}

function touched(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => lstatSync(`${directory}/${path}`).mtimeMs !== PAST_SECONDS * 1000)
    .sort()
}

function brief(result: ReturnType<typeof applyTree>): string[] {
  return result.changes.map((change) => `${change.kind} ${change.path} ${change.replaces}`)
}

test('an output directory that does not exist appears whole, with its parents and the exact modes', () => {
  const parent = temporaryDirectory()
  const out = `${parent}/build/rootfs`
  const result = applyTree({ outputDirectory: out, artifacts: TREE, inputs: { machine: 'abc' } })
  assert.equal(treeOn(out), treeOf(TREE))
  assert.equal(
    result.changes.map((change) => change.kind),
    ['create', 'create', 'create', 'create'],
  )
  assert.equal(stateNames(out), ['manifest.json'])
  assert.equal(readdirSync(`${parent}/build`), ['rootfs'])
})

test('a file with an original is a copy of it, with its own mode, and a new tree asks nobody for its content', () => {
  const parent = temporaryDirectory()
  const original = { path: `${parent}/original`, sha256: 'known', sizeBytes: 7 }
  writeFileSync(original.path, 'program', { mode: 0o600 })
  let asked = 0
  const program: Artifact = {
    path: 'lib/program.js',
    mode: 0o755,
    source: 'test',
    original,
    get content() {
      asked++
      return readFileSync(original.path)
    },
  }
  const before = process.umask(0o077)
  try {
    applyTree({ outputDirectory: `${parent}/new`, artifacts: [program] })
    assert.is(asked, 0)
    applyTree({ outputDirectory: `${parent}/old`, artifacts: [artifact('other', '')] })
    applyTree({ outputDirectory: `${parent}/old`, artifacts: [program] })
  } finally {
    process.umask(before)
  }
  for (const out of [`${parent}/new`, `${parent}/old`]) {
    assert.equal(treeOn(out), treeOf([artifact('lib/program.js', 'program', 0o755)]))
    const manifest = JSON.parse(readFileSync(`${out}/.machinegen/manifest.json`, 'utf8'))
    assert.equal(manifest.files['lib/program.js'], { mode: '0755', sha256: 'known', sizeBytes: 7 })
  }
})

test('a text of which the system takes a part at a time arrives whole', () => {
  const text = 'täg\u{1f600}\n'.repeat(50)
  const out = `${temporaryDirectory()}/out`
  const fileSystem = new Proxy(NODE_FILE_SYSTEM, {
    get(target, name: keyof typeof NODE_FILE_SYSTEM) {
      if (name !== 'writeSync') return target[name]
      return (descriptor: number, content: string | Uint8Array, offset = 0) =>
        target.writeSync(descriptor, Buffer.from(content as string), offset, Math.min(7, content.length - offset))
    },
  })
  applyTree({ outputDirectory: out, artifacts: [artifact('text', text)], fileSystem })
  assert.is(readFileSync(`${out}/text`, 'utf8'), text)
})

test('the manifest holds modes, hashes, sizes and the inputs, with sorted keys and the same bytes for any order', () => {
  const [a, b] = [`${temporaryDirectory()}/out`, `${temporaryDirectory()}/out`]
  applyTree({ outputDirectory: a, artifacts: TREE, inputs: { machine: 'abc', base: 'def' } })
  applyTree({ outputDirectory: b, artifacts: [...TREE].reverse(), inputs: { base: 'def', machine: 'abc' } })
  const text = readFileSync(`${a}/.machinegen/manifest.json`, 'utf8')
  assert.is(text, readFileSync(`${b}/.machinegen/manifest.json`, 'utf8'))
  const manifest = JSON.parse(text)
  assert.equal(Object.keys(manifest.files), TREE.map((file) => file.path).sort())
  assert.equal(manifest.files['etc/s6/comfyui-gpu0/data/check'], {
    mode: '0644',
    sha256: '4e80d497a3c80d9eb12aa6685c29ff203dd48bfc660b91971e9f16ff9303552e',
    sizeBytes: 5,
  })
  assert.equal({ version: manifest.version, state: manifest.state }, { version: 1, state: 'complete' })
  assert.equal(manifest.inputs, { base: 'def', machine: 'abc' })
})

test('a second run with the same artifacts touches nothing, not even the state directory', () => {
  const out = `${temporaryDirectory()}/out`
  applyTree({ outputDirectory: out, artifacts: TREE })
  age(out)
  const result = applyTree({ outputDirectory: out, artifacts: TREE })
  assert.equal(result.changes, [])
  assert.is(result.unchangedCount, TREE.length)
  assert.equal(touched(out), [])
})

test('only what changed is written: content, mode, and orphans with the directories that they leave empty', () => {
  const out = `${temporaryDirectory()}/out`
  applyTree({ outputDirectory: out, artifacts: TREE })
  age(out)
  const next = [
    TREE[0]!,
    artifact('etc/s6/comfyui-gpu0/run', '#!/bin/sh\n', 0o700),
    artifact('secret.env', 'TOKEN=y\n', 0o600),
  ]
  const result = applyTree({ outputDirectory: out, artifacts: next })
  assert.equal(brief(result), [
    'mode etc/s6/comfyui-gpu0/run ours',
    'update secret.env ours',
    'remove etc/s6/comfyui-gpu0/data/check ours',
  ])
  assert.equal(treeOn(out), treeOf(next))
  assert.not(touched(out).includes('etc/nginx/nginx.conf'))
})

test('new inputs alone change the manifest and no other file', () => {
  const out = `${temporaryDirectory()}/out`
  applyTree({ outputDirectory: out, artifacts: TREE, inputs: { machine: '1' } })
  age(out)
  applyTree({ outputDirectory: out, artifacts: TREE, inputs: { machine: '2' } })
  assert.equal(touched(out), ['.machinegen', '.machinegen/manifest.json'])
})

test('a file becomes a directory and a directory a file', () => {
  const out = `${temporaryDirectory()}/out`
  const before = [artifact('a', 'file'), artifact('b/c/d', 'deep'), artifact('b/e', 'x')]
  const after = [artifact('a/x/y', 'deep'), artifact('b', 'file')]
  applyTree({ outputDirectory: out, artifacts: before })
  applyTree({ outputDirectory: out, artifacts: after })
  assert.equal(treeOn(out), treeOf(after))
  applyTree({ outputDirectory: out, artifacts: before })
  assert.equal(treeOn(out), treeOf(before))
})

test('foreign files and directories stay, also in directories that runs made, and also when everything of ours goes', () => {
  const out = temporaryDirectory()
  mkdirSync(`${out}/etc/empty`, { recursive: true })
  writeFileSync(`${out}/etc/passwd`, 'root')
  applyTree({ outputDirectory: out, artifacts: TREE })
  writeFileSync(`${out}/etc/nginx/mime.types`, 'types {}')
  const foreign = { etc: 'directory', 'etc/empty': 'directory', 'etc/passwd': '0644 root' }
  applyTree({ outputDirectory: out, artifacts: [] })
  assert.equal(treeOn(out), { ...foreign, 'etc/nginx': 'directory', 'etc/nginx/mime.types': '0644 types {}' })
})

test('a directory that was there before is not removed when it becomes empty', () => {
  const out = temporaryDirectory()
  mkdirSync(`${out}/etc/nginx`, { recursive: true })
  applyTree({ outputDirectory: out, artifacts: TREE })
  applyTree({ outputDirectory: out, artifacts: [] })
  assert.equal(treeOn(out), { etc: 'directory', 'etc/nginx': 'directory' })
})

test('foreign files in the place of artifacts are all named, and nothing is written', () => {
  const out = temporaryDirectory()
  writeFileSync(`${out}/secret.env`, 'mine')
  mkdirSync(`${out}/etc/nginx/nginx.conf`, { recursive: true })
  const before = treeOn(out)
  const result = applyTree({ outputDirectory: out, artifacts: TREE })
  assert.equal(
    result.conflicts.map((conflict) => conflict.message),
    [
      'cannot write "etc/nginx/nginx.conf": a directory is in its place',
      'cannot write "secret.env": a file that machinegen did not write is in its place',
    ],
  )
  assert.equal(treeOn(out), before)
  assert.not(existsSync(`${out}/.machinegen`))
})

test('with force a foreign file is replaced, a foreign directory is not', () => {
  const out = temporaryDirectory()
  writeFileSync(`${out}/secret.env`, 'mine')
  symlinkSync('/etc/hostname', `${out}/link`)
  const artifacts = [...TREE, artifact('link', 'ours')]
  const result = applyTree({ outputDirectory: out, artifacts, force: true })
  assert.ok(brief(result).includes('update secret.env foreign'))
  assert.ok(brief(result).includes('update link foreign'))
  assert.equal(treeOn(out), treeOf(artifacts))

  const other = temporaryDirectory()
  mkdirSync(`${other}/secret.env`)
  assert.is(applyTree({ outputDirectory: other, artifacts: TREE, force: true }).conflicts.length, 1)
})

test('a foreign file that is already as wanted is adopted without a touch, and then ours', () => {
  const out = temporaryDirectory()
  writeFileSync(`${out}/secret.env`, 'TOKEN=x\n', { mode: 0o600 })
  utimesSync(`${out}/secret.env`, PAST_SECONDS, PAST_SECONDS)
  const result = applyTree({ outputDirectory: out, artifacts: TREE })
  assert.ok(brief(result).includes('adopt secret.env foreign'))
  assert.not(touched(out).includes('secret.env'))
  applyTree({ outputDirectory: out, artifacts: [] })
  assert.equal(treeOn(out), {})
})

test('files of ours that were edited, removed or replaced by hand are put right, and the edits reported', () => {
  const out = `${temporaryDirectory()}/out`
  const [config, run, check, secret] = TREE as [Artifact, Artifact, Artifact, Artifact]
  applyTree({ outputDirectory: out, artifacts: TREE })
  writeFileSync(`${out}/${config.path}`, 'edited')
  chmodSync(`${out}/${run.path}`, 0o777)
  writeFileSync(`${out}/${check.path}`, 'edited')
  const result = applyTree({ outputDirectory: out, artifacts: [config, run, secret] })
  assert.equal(brief(result), [
    `update ${config.path} edited`,
    `mode ${run.path} edited`,
    `remove ${check.path} edited`,
  ])
  assert.equal(treeOn(out), treeOf([config, run, secret]))
})

test('a dry run says the same and writes nothing', () => {
  const parent = temporaryDirectory()
  const out = `${parent}/out`
  const fresh = applyTree({ outputDirectory: out, artifacts: TREE, dryRun: true })
  assert.is(fresh.changes.length, TREE.length)
  assert.equal(readdirSync(parent), [])
  applyTree({ outputDirectory: out, artifacts: TREE })
  age(out)
  const next = [artifact('new', '1')]
  const dry = applyTree({ outputDirectory: out, artifacts: next, dryRun: true })
  assert.equal(touched(out), [])
  assert.equal(dry, applyTree({ outputDirectory: out, artifacts: next }))
})

test('modes are exact under every umask, of files and of directories', () => {
  const before = process.umask()
  try {
    for (const umask of [0o077, 0o000, 0o777]) {
      process.umask(umask)
      const [fresh, existing] = [`${temporaryDirectory()}/out`, temporaryDirectory()]
      for (const out of [fresh, existing]) {
        applyTree({ outputDirectory: out, artifacts: [...TREE, artifact('open', '', 0o666)] })
        assert.equal(treeOn(out), treeOf([...TREE, artifact('open', '', 0o666)]))
        for (const path of ['etc', 'etc/s6/comfyui-gpu0/data', '.machinegen'])
          assert.is(lstatSync(`${out}/${path}`).mode & 0o777, 0o755, path)
      }
    }
  } finally {
    process.umask(before)
  }
})

test('the manifest of a tree with a secret is as closed as the secret', () => {
  const [open, closed] = [`${temporaryDirectory()}/out`, `${temporaryDirectory()}/out`]
  applyTree({ outputDirectory: open, artifacts: TREE.slice(0, 3) })
  applyTree({ outputDirectory: closed, artifacts: TREE })
  assert.is(lstatSync(`${open}/.machinegen/manifest.json`).mode & 0o777, 0o644)
  assert.is(lstatSync(`${closed}/.machinegen/manifest.json`).mode & 0o777, 0o600)
})

test('an updated file keeps its owner', () => {
  if (process.geteuid?.() !== 0) return
  const out = `${temporaryDirectory()}/out`
  applyTree({ outputDirectory: out, artifacts: [artifact('a', '1')] })
  chownSync(`${out}/a`, 1234, 5678)
  applyTree({ outputDirectory: out, artifacts: [artifact('a', '2', 0o4755)] })
  const { uid, gid, mode } = lstatSync(`${out}/a`)
  assert.equal({ uid, gid, mode: mode & 0o7777 }, { uid: 1234, gid: 5678, mode: 0o4755 })
})

test('artifacts that contradict each other or leave the directory are refused as bugs', () => {
  const out = `${temporaryDirectory()}/out`
  const cases: [Artifact[], RegExp][] = [
    [[artifact('a', ''), artifact('a', '')], /both "test" and "test" make it/],
    [[artifact('a', ''), artifact('a/b', '')], /"a" is a file/],
    [[artifact('../a', '')], /"\.\."/],
    [[artifact('/a', '')], /absolute/],
    [[artifact('a//b', '')], /segment is empty/],
    [[artifact('a\0', '')], /NUL/],
    [[artifact('.machinegen/manifest.json', '')], /kept for the manifest/],
  ]
  for (const [artifacts, message] of cases) {
    const attempt = () => applyTree({ outputDirectory: out, artifacts })
    assert.throws(attempt, (error: { code: string; message: string }) => {
      assert.is(error.code, 'BAD_ARTIFACT')
      assert.match(error.message, message)
      return true
    })
  }
  assert.not(existsSync(out))
})

test('after any sequence of trees the directory holds the last one and every foreign file', () => {
  const path = fc.array(fc.constantFrom('a', 'b', 'run', 'toString', '__proto__'), { minLength: 1, maxLength: 3 })
  const file = fc.record({
    path: path.map((segments) => segments.join('/')),
    content: fc.constantFrom('', 'x', 'y', 'long\n'.repeat(100)),
    mode: fc.constantFrom(0o644, 0o755, 0o600),
  })
  const tree = fc.array(file, { maxLength: 6 }).map((files) => {
    const chosen: Artifact[] = []
    for (const each of files) {
      const clashes = chosen.some(
        (other) => `${each.path}/`.startsWith(`${other.path}/`) || `${other.path}/`.startsWith(`${each.path}/`),
      )
      if (!clashes) chosen.push(artifact(each.path, each.content, each.mode))
    }
    return chosen
  })
  fc.assert(
    fc.property(fc.array(tree, { minLength: 1, maxLength: 4 }), fc.boolean(), (trees, exists) => {
      const out = `${temporaryDirectory()}/out`
      if (exists) {
        mkdirSync(`${out}/foreign`, { recursive: true })
        writeFileSync(`${out}/foreign/file`, 'stay')
      }
      const foreign = exists ? [artifact('foreign/file', 'stay')] : []
      for (const artifacts of trees) {
        assert.equal(applyTree({ outputDirectory: out, artifacts }).conflicts, [])
        assert.equal(treeOn(out), treeOf([...artifacts, ...foreign]))
        assert.equal(stateNames(out), ['manifest.json'])
        assert.equal(applyTree({ outputDirectory: out, artifacts }).changes, [])
      }
    }),
    { numRuns: 150 },
  )
})

test.run()
