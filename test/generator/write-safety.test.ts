import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { buildSync } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Artifact } from '../../generator/artifact.ts'
import { applyTree } from '../../generator/write/apply.ts'
import { compareTree, verifyAgainstManifest } from '../../generator/write/drift.ts'
import { NODE_FILE_SYSTEM } from '../../generator/write/file-system.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { failingAt } from './crashing-file-system.ts'
import { artifact, stateNames, treeOf, treeOn } from './written-trees.ts'

const TREE = [artifact('a/b/file', '1'), artifact('a/top', '2')]

/** An output directory `out` with TREE in it, and a directory `outside` that must not change. */
function outputAndOutside(): { out: string; outside: string } {
  const parent = temporaryDirectory()
  const [out, outside] = [`${parent}/out`, `${parent}/outside`]
  mkdirSync(`${outside}/empty`, { recursive: true })
  writeFileSync(`${outside}/file`, '1')
  applyTree({ outputDirectory: out, artifacts: TREE })
  return { out, outside }
}

const OUTSIDE = { empty: 'directory', file: '0644 1' }

function failure(action: () => unknown): { code: string; message: string; path: string } {
  try {
    action()
  } catch (error) {
    return error as { code: string; message: string; path: string } & Error
  }
  throw new Error('it did not fail')
}

test('a link in the place of a directory is refused with its name, even with force, and never followed', () => {
  for (const force of [false, true]) {
    const { out, outside } = outputAndOutside()
    rmSync(`${out}/a/b`, { recursive: true })
    symlinkSync(outside, `${out}/a/b`)
    const result = applyTree({ outputDirectory: out, artifacts: [artifact('a/b/file', 'changed')], force })
    assert.equal(
      result.conflicts.map((conflict) => conflict.message),
      ['cannot write "a/b/file": "a/b" is a symbolic link, not a directory'],
    )
    assert.equal(treeOn(outside), OUTSIDE)
    assert.is(lstatSync(`${out}/a/b`).isSymbolicLink(), true)
  }
})

test('orphans and empty directories behind a link are not removed', () => {
  const { out, outside } = outputAndOutside()
  applyTree({ outputDirectory: out, artifacts: [...TREE, artifact('a/b/empty/x', '')] })
  rmSync(`${out}/a/b`, { recursive: true })
  symlinkSync(outside, `${out}/a/b`)
  assert.equal(applyTree({ outputDirectory: out, artifacts: [artifact('a/top', '2')] }).conflicts, [])
  assert.equal(treeOn(outside), OUTSIDE)
})

test('a link in the place of one of our files is replaced, not followed', () => {
  const { out, outside } = outputAndOutside()
  rmSync(`${out}/a/top`)
  symlinkSync(`${outside}/file`, `${out}/a/top`)
  applyTree({ outputDirectory: out, artifacts: TREE })
  assert.equal(treeOn(out), treeOf(TREE))
  assert.equal(treeOn(outside), OUTSIDE)
})

test('a link in the place of the state directory is refused', () => {
  const { out, outside } = outputAndOutside()
  rmSync(`${out}/.machinegen`, { recursive: true })
  symlinkSync(outside, `${out}/.machinegen`)
  const { code, message } = failure(() => applyTree({ outputDirectory: out, artifacts: [] }))
  assert.is(code, 'READ_FAILED')
  assert.match(message, /\.machinegen": it is not a directory$/)
  assert.equal(treeOn(outside), OUTSIDE)
})

test('an output directory that is itself a link is written where it points', () => {
  const { out } = outputAndOutside()
  const link = `${temporaryDirectory()}/link`
  symlinkSync(out, link)
  const next = [artifact('new', '')]
  assert.is(applyTree({ outputDirectory: link, artifacts: next }).outputDirectory, out)
  assert.equal(treeOn(out), treeOf(next))
})

test('a manifest that names files outside, or is damaged, removes nothing and counts as unfinished', () => {
  const record = `{"mode": "0644", "sha256": "x", "sizeBytes": 1}`
  const damaged = [
    '',
    '{',
    '[]',
    '{"version": 2, "files": {}}',
    `{"version": 1, "files": {"../outside/file": ${record}}}`,
    `{"version": 1, "files": {}, "directories": ["../outside/empty"]}`,
    `{"version": 1, "files": {"a/top": {"mode": 420}}}`,
  ]
  for (const text of damaged) {
    const { out, outside } = outputAndOutside()
    writeFileSync(`${out}/.machinegen/manifest.json`, text)
    assert.is(verifyAgainstManifest(out).state, 'unfinished', text)
    assert.match(compareTree(out, TREE)[0]!.message, /^cannot use "\.machinegen\/manifest\.json": /)
    // what is as wanted is adopted, so the tree is whole again
    assert.equal(applyTree({ outputDirectory: out, artifacts: TREE }).conflicts, [])
    assert.equal(verifyAgainstManifest(out), { state: 'complete', inputs: {}, drift: [] })
    assert.equal(treeOn(outside), OUTSIDE)
  }
})

test('a damaged journal is completed too', () => {
  const { out } = outputAndOutside()
  writeFileSync(`${out}/.machinegen/unfinished`, '{"vers')
  assert.is(verifyAgainstManifest(out).state, 'unfinished')
  const next = [artifact('new', '')]
  assert.ok(applyTree({ outputDirectory: out, artifacts: next }).wasUnfinished)
  assert.equal(treeOn(out), treeOf(next))
  assert.equal(stateNames(out), ['manifest.json'])
})

test('a file where the output directory, or one above it, should be is named', () => {
  const parent = temporaryDirectory()
  writeFileSync(`${parent}/file`, '')
  for (const [out, why] of [
    [`${parent}/file`, 'it is not a directory'],
    [`${parent}/file/out`, 'not a directory (ENOTDIR)'],
  ]) {
    const { code, message } = failure(() => applyTree({ outputDirectory: out!, artifacts: TREE }))
    assert.is(code, 'WRITE_FAILED')
    assert.is(message, `cannot write "${out}": ${why}`)
  }
  assert.equal(readdirSync(parent), ['file'])
})

test('a file in the way of a directory is a conflict', () => {
  const out = temporaryDirectory()
  writeFileSync(`${out}/a`, 'mine')
  const result = applyTree({ outputDirectory: out, artifacts: TREE, force: true })
  assert.match(result.conflicts[0]!.message, /"a" is a file, not a directory/)
  assert.is(readFileSync(`${out}/a`, 'utf8'), 'mine')
})

test('a failure before anything changed leaves no mark, one after it does', () => {
  const next = [artifact('a/b/file', 'new'), artifact('a/top', 'new')]
  const outcomes: [boolean, boolean][] = []
  for (let at = 0, isOver = false; !isOver; at++) {
    const { out } = outputAndOutside()
    const fault = failingAt(at, 'EROFS', -30)
    try {
      applyTree({ outputDirectory: out, artifacts: next, fileSystem: fault.fileSystem })
      isOver = true
    } catch (error) {
      assert.match((error as Error).message, /read-only file system \(EROFS\)$/)
      const isChanged = JSON.stringify(treeOn(out)) !== JSON.stringify(treeOf(TREE))
      outcomes.push([isChanged, existsSync(`${out}/.machinegen/unfinished`)])
    }
  }
  assert.ok(outcomes.some(([isChanged]) => isChanged))
  for (const [isChanged, isMarked] of outcomes) assert.is(isMarked, isChanged)
})

test('a secret is never in a file that others may open, not even for a moment', () => {
  const secret = (text: string): Artifact => artifact('secret', text, 0o600)
  let opened = 0
  const fileSystem = new Proxy(NODE_FILE_SYSTEM, {
    get(target, name: keyof typeof NODE_FILE_SYSTEM) {
      if (name !== 'writeSync') return target[name]
      return (descriptor: number, content: Uint8Array, offset: number, length: number) => {
        const mode = target.fstatSync(descriptor).mode & 0o777
        assert.is(mode & 0o077, 0, `${Buffer.from(content)} goes into a file of mode ${mode.toString(8)}`)
        opened++
        return target.writeSync(descriptor, content, offset, length)
      }
    },
  })
  const before = process.umask(0)
  try {
    const out = `${temporaryDirectory()}/out`
    applyTree({ outputDirectory: out, artifacts: [secret('1')], fileSystem })
    applyTree({ outputDirectory: out, artifacts: [secret('2')], fileSystem })
    applyTree({ outputDirectory: out, artifacts: [artifact('secret', 'open')], fileSystem })
    applyTree({ outputDirectory: out, artifacts: [secret('3')], fileSystem })
  } finally {
    process.umask(before)
  }
  assert.ok(opened >= 8)
})

/** Runs a command with a tmpfs of its own at `mountPoint`, which is gone with the command. */
function withTmpfs(mountPoint: string, options: string, command: string): ReturnType<typeof spawnSync> {
  const script = `mount -t tmpfs -o ${options} tmpfs ${mountPoint} && ${command}`
  return spawnSync('unshare', ['--mount', 'sh', '-c', script], { encoding: 'utf8' })
}

const canMount = withTmpfs(temporaryDirectory(), 'size=64k', 'true').status === 0
if (!canMount)
  console.log('SKIPPED: a really full and a really read-only disk: this machine does not let us mount a tmpfs')
const onMounts = canMount ? test : test.skip

function bundleFullDisk(): string {
  const outfile = `${temporaryDirectory()}/full-disk.mjs`
  const contents = `
    import { applyTree } from './apply.ts'
    const tree = (text, count) => Array.from({ length: count }, (_, index) =>
      ({ path: 'd/' + index, mode: 0o644, source: 'test', content: text.repeat(4000) }))
    const [out, text, count] = process.argv.slice(2)
    try {
      const { changes } = applyTree({ outputDirectory: out, artifacts: tree(text, Number(count)) })
      console.log(JSON.stringify({ changes: changes.length }))
    } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
  const resolveDir = new URL('../../generator/write', import.meta.url).pathname
  buildSync({ stdin: { contents, resolveDir }, bundle: true, platform: 'node', format: 'esm', outfile })
  return outfile
}

onMounts(
  'on a full disk the run says so, the tree is marked, and the next run completes it once there is space',
  () => {
    const mountPoint = temporaryDirectory()
    const apply = `${process.execPath} ${bundleFullDisk()}`
    const run = withTmpfs(
      mountPoint,
      'size=1m',
      [
        `${apply} ${mountPoint}/out a 20`,
        `head -c 600k /dev/zero > ${mountPoint}/out/foreign`,
        `${apply} ${mountPoint}/out b 200`,
        `ls ${mountPoint}/out/.machinegen | xargs`,
        `${apply} ${mountPoint}/fresh c 200`,
        `echo left over: $(find ${mountPoint} -name "*.tmp" -o -name "*fresh*")`,
        `rm ${mountPoint}/out/foreign`,
        `${apply} ${mountPoint}/out b 150`,
        `ls ${mountPoint}/out/.machinegen | xargs`,
        `ls ${mountPoint}/out/d | wc -l`,
      ].join('; '),
    )
    const lines = String(run.stdout).trim().split('\n')
    const full = (path: string) =>
      new RegExp(`"WRITE_FAILED".*cannot write .*${path}\\\\": no space left on device \\(ENOSPC\\)`)
    assert.is(lines[0], '{"changes":20}')
    assert.match(lines[1]!, full('/out/d/\\d+'))
    assert.is(lines[2], 'manifest.json unfinished')
    assert.match(lines[3]!, full('/fresh/d/\\d+'))
    assert.is(lines[4], 'left over:')
    assert.match(lines[5]!, /"changes":1\d\d/)
    assert.equal(lines.slice(6), ['manifest.json', '150'])
  },
)

onMounts('on a read-only disk an unchanged tree is no error, a changed one is', () => {
  const mountPoint = temporaryDirectory()
  const apply = `${process.execPath} ${bundleFullDisk()}`
  const run = withTmpfs(
    mountPoint,
    'size=1m',
    [
      `${apply} ${mountPoint}/out a 3`,
      `mount -o remount,ro ${mountPoint}`,
      `${apply} ${mountPoint}/out a 3`,
      `${apply} ${mountPoint}/out b 3`,
      `${apply} ${mountPoint}/fresh b 3`,
    ].join('; '),
  )
  const lines = String(run.stdout).trim().split('\n')
  assert.equal(lines.slice(0, 2), ['{"changes":3}', '{"changes":0}'])
  assert.match(lines[2]!, /WRITE_FAILED.*cannot write \\".*\/out\\": read-only file system \(EROFS\)/)
  assert.match(lines[3]!, /WRITE_FAILED.*cannot write \\".*\/fresh\/?\\": read-only file system \(EROFS\)/)
})

test.run()
