import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkLinkText, entryPath } from '../../runtime/provision/worker-package/archive-path.ts'
import { copyBundle, fingerprint } from '../../runtime/provision/worker-package/copy-bundle.ts'
import { findEntryPoint } from '../../runtime/provision/worker-package/entry-point.ts'
import { unpackArchive } from '../../runtime/provision/worker-package/unpack-archive.ts'
import { type TarEntry, tarballOf, tarOf } from '../fixtures/tar-archive.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** Unpacks into a directory that has a neighbour nobody may touch; gives the directory. */
async function unpack(archive: Buffer, limits?: { bytes: number; entries: number }): Promise<string> {
  const root = temporaryDirectory()
  const directory = join(root, 'package')
  mkdirSync(directory)
  writeFileSync(join(root, 'neighbour'), 'untouched')
  writeFileSync(join(root, 'archive'), archive)
  try {
    await unpackArchive(join(root, 'archive'), directory, limits)
  } finally {
    assert.equal(readdirSync(root).sort(), ['archive', 'neighbour', 'package'])
    assert.is(readFileSync(join(root, 'neighbour'), 'utf8'), 'untouched')
  }
  return directory
}

async function refusal(entries: readonly TarEntry[], limits?: { bytes: number; entries: number }): Promise<string> {
  const error = await unpack(tarOf(entries), limits).then(
    () => new Error('it was unpacked'),
    (error: Error) => error,
  )
  assert.is(error.name, 'ArchiveError', error.message)
  return error.message
}

test('files, directories, links inside and long names are unpacked, with modes of their own', async () => {
  const long = `${'deep/'.repeat(30)}file.txt`
  const directory = await unpack(
    tarballOf([
      { name: './', type: '5' },
      { name: './run.js', content: 'first', mode: 0o4777 },
      { name: './run.js', content: 'second', mode: 0o4777 },
      { name: 'lib/data.json', content: '{}', mode: 0o600 },
      { name: 'short', content: 'long', paxPath: long },
      { name: 'bin/run', type: '2', link: '../run.js' },
      { name: 'copy.js', type: '1', link: './run.js' },
    ]),
  )
  assert.is(readFileSync(join(directory, 'run.js'), 'utf8'), 'second')
  assert.is(statSync(join(directory, 'run.js')).mode & 0o7777, 0o755)
  assert.is(statSync(join(directory, 'lib/data.json')).mode & 0o7777, 0o644)
  assert.is(readFileSync(join(directory, long), 'utf8'), 'long')
  assert.is(readFileSync(join(directory, 'bin/run'), 'utf8'), 'second')
  assert.not(lstatSync(join(directory, 'copy.js')).isSymbolicLink())
  assert.is(statSync(join(directory, 'copy.js')).nlink, 1)
})

test('no path leads out of the directory', async () => {
  assert.match(await refusal([{ name: '../neighbour', content: 'x' }]), 'leads out of it by ".."')
  assert.match(await refusal([{ name: 'a/../../neighbour', content: 'x' }]), 'leads out of it by ".."')
  assert.match(await refusal([{ name: '/etc/neighbour', content: 'x' }]), 'has an absolute path')
  assert.match(await refusal([{ name: 'fine', content: 'x', paxPath: '../neighbour' }]), 'leads out of it by ".."')
  assert.match(await refusal([{ name: '..', type: '5' }]), 'leads out of it by ".."')
})

test('no link leads out of the directory, not even through other links, and nothing is written through one', async () => {
  assert.match(await refusal([{ name: 'link', type: '2', link: '../neighbour' }]), 'leads out of it')
  assert.match(await refusal([{ name: 'link', type: '2', link: '/etc/passwd' }]), 'leads to an absolute path')
  assert.match(await refusal([{ name: 'link', type: '1', link: '../neighbour' }]), 'leads out of it by ".."')
  assert.match(await refusal([{ name: 'link', type: '1', link: 'nothing' }]), 'which is no file')
  assert.match(await refusal([{ name: 'link', type: '2', link: 'nothing' }]), 'leads to nothing')
  const byLinks = [
    { name: 'sub/up', type: '2', link: '..' },
    { name: 'sneaky', type: '2', link: 'sub/up/../neighbour' },
  ]
  assert.match(await refusal([{ name: 'sub/neighbour', content: 'x' }, ...byLinks]), 'leads out of it')
  assert.match(
    await refusal([
      { name: 'inner/', type: '5' },
      { name: 'link', type: '2', link: 'inner' },
      { name: 'link/file', content: 'x' },
    ]),
    'which is no directory',
  )
})

test('devices, fifos, bombs and damaged archives are refused', async () => {
  assert.match(await refusal([{ name: 'null', type: '3' }]), 'is a character-device')
  assert.match(await refusal([{ name: 'disk', type: '4' }]), 'is a block-device')
  assert.match(await refusal([{ name: 'pipe', type: '6' }]), 'is a fifo')
  const many = Array.from({ length: 30 }, (_, index) => ({ name: `file${index}`, content: 'x' }))
  assert.match(await refusal(many, { entries: 20, bytes: 1000 }), 'more than 20 entries')
  assert.match(
    await refusal([{ name: 'zeros', content: Buffer.alloc(5000) }], { entries: 20, bytes: 1000 }),
    'more than 1000 bytes',
  )
  assert.match(await refusal([]), 'empty')
  const whole = tarballOf([{ name: 'file', content: Buffer.alloc(100_000, 'abc') }])
  for (const broken of [
    whole.subarray(0, whole.length - 30),
    Buffer.from('<html>not found</html>'),
    Buffer.alloc(700, 1),
  ]) {
    const error = await unpack(broken).catch((error: Error) => error)
    assert.is((error as Error).name, 'ArchiveError', String((error as Error).message))
  }
  const cut = tarOf([{ name: 'file', content: Buffer.alloc(5000, 'x') }]).subarray(0, 2000)
  assert.is(((await unpack(cut).catch((error: Error) => error)) as Error).name, 'ArchiveError')
})

test('whatever the names and targets are, an accepted one stays inside', () => {
  const segment = fc.constantFrom('a', 'b', '.', '..', '', 'c d', '...', '-')
  const path = fc.array(segment, { minLength: 1, maxLength: 8 }).map((segments) => segments.join('/'))
  fc.assert(
    fc.property(path, path, (name, target) => {
      const accepts = (check: () => void) => {
        try {
          check()
          return true
        } catch {
          return false
        }
      }
      if (accepts(() => entryPath(name))) assert.not(entryPath(name).split('/').includes('..'))
      const depth = name.split('/').filter((one) => !['', '.', '..'].includes(one)).length
      if (!accepts(() => checkLinkText(Array(depth).fill('d').join('/') || 'd', target))) return
      let level = Math.max(0, depth - 1)
      for (const one of target.split('/')) level += one === '..' ? -1 : one === '' || one === '.' ? 0 : 1
      assert.ok(level >= 0, `${depth} ${target}`)
    }),
  )
})

test('the program is found where the first machines looked, in their order, and then where package.json says', () => {
  const directory = temporaryDirectory()
  const entryName = 'redis-direct-worker.js'
  const put = (path: string, content = '') => {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
  assert.is(findEntryPoint(directory, { entryName }), null)
  put('package.json', JSON.stringify({ bin: { worker: './lib/start.js' }, main: '../outside.js' }))
  assert.is(findEntryPoint(directory, { entryName }), null)
  put('lib/start.js')
  assert.is(findEntryPoint(directory, { entryName }), './lib/start.js')
  for (const place of ['dist/', 'worker/', '']) {
    put(`${place}${entryName}`)
    assert.is(findEntryPoint(directory, { entryName }), `${place}${entryName}`)
  }
})

test('a directory is copied with its links, has a hash of its content, and may lead nowhere else', () => {
  const source = temporaryDirectory()
  mkdirSync(join(source, 'bin'))
  writeFileSync(join(source, 'run.js'), 'program', { mode: 0o700 })
  symlinkSync('../run.js', join(source, 'bin/run'))
  const [first, second] = [temporaryDirectory(), temporaryDirectory()]
  assert.is(copyBundle(source, first), copyBundle(source, second))
  assert.is(readFileSync(join(first, 'bin/run'), 'utf8'), 'program')
  const before = fingerprint(source)
  writeFileSync(join(source, 'run.js'), 'another')
  assert.is.not(fingerprint(source), before)
  symlinkSync('/etc/passwd', join(source, 'sneaky'))
  const target = temporaryDirectory()
  assert.throws(() => copyBundle(source, target), 'leads to an absolute path')
  assert.not(existsSync(join(target, 'sneaky')))
})

test.run()
