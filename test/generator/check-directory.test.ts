import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkDirectory } from '../../generator/check/check-directory.ts'
import { compileVerdict } from '../../generator/check/compile-verdict.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { bundle, codesOf, type Files, longrun, oneshot, writeTree } from './check-files.ts'

const BASE = { 'dependencies.d/base': '' }
const under = (directory: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [`${directory}/${path}`, text]))

/** A profile by either layout with one service in the user bundle. */
const LEGACY = { ...under('s6-rc.d', longrun('app', BASE)), 's6-rc.d/user/contents.d/app': '' }
const CURRENT = {
  ...under('s6-rc.d', longrun('app', BASE)),
  ...under('user-bundles.d', { ...bundle('user', ['app']), ...bundle('user2', [], { 'contents.d/.empty': '' }) }),
}

test('a profile is clean in the layout of its s6-overlay version', () => {
  assert.equal(codesOf(LEGACY), [])
  assert.equal(codesOf(LEGACY, '3.2.3.0'), [])
  assert.equal(codesOf(CURRENT), [])
  assert.equal(codesOf(CURRENT, '3.2.3.2'), [])
})

test('a layout that the s6-overlay version does not read is refused', () => {
  assert.equal(codesOf(CURRENT, '3.2.2.0'), ['S6_LAYOUT_VERSION'])
  assert.equal(codesOf(LEGACY, '3.2.3.1'), ['S6_LAYOUT_VERSION'])
  assert.equal(codesOf(LEGACY, '3.2.3.2'), ['S6_LAYOUT_VERSION'])
  const severities = ['3.2.3.1', '3.2.3.2'].map(
    (overlayVersion) => checkDirectory(writeTree(LEGACY), { overlayVersion }).diagnostics[0]?.severity,
  )
  assert.equal(severities, ['error', 'warning'])
})

test('both layouts together are refused, and the syslogd tarball is named where it brings the old one', () => {
  assert.equal(codesOf({ ...LEGACY, ...CURRENT }), ['S6_LAYOUT_BOTH'])
  const syslogd = { ...under('s6-rc.d', oneshot('syslogd-bundle', BASE)), 's6-rc.d/user/contents.d/syslogd-bundle': '' }
  const [finding] = checkDirectory(writeTree({ ...CURRENT, ...syslogd })).diagnostics
  assert.is(finding?.code, 'S6_LAYOUT_BOTH')
  assert.is(finding?.severity, 'error')
  assert.is(finding?.file, 's6-rc.d/user')
  assert.match(finding?.hint ?? '', 'syslogd-overlay')
})

test('a user2 bundle in the old place without a user bundle there is refused', () => {
  const files = { ...CURRENT, 's6-rc.d/user2/contents.d/app': '', 's6-rc.d/user2/type': 'bundle\n' }
  assert.equal(codesOf(files), ['S6_DUPLICATE_NAME', 'S6_NO_BASE'])
})

test('services that nothing starts, and services that race the setup, are found', () => {
  const more = { ...longrun('idle', BASE), ...longrun('early'), ...bundle('by-hand', ['idle']) }
  const files = { ...CURRENT, ...under('s6-rc.d', more), 'user-bundles.d/user/contents.d/early': '' }
  const { diagnostics } = checkDirectory(writeTree(files))
  assert.equal(
    diagnostics.map(({ code, file }) => [code, file]),
    [
      ['S6_NO_BASE', 's6-rc.d/early'],
      ['S6_NEVER_STARTED', 's6-rc.d/idle'],
    ],
  )
})

test('services are started through bundles, dependencies and pipelines, and wait for base through them', () => {
  const services = {
    ...longrun('app', { 'dependencies.d/all': '', run: '#!/bin/sh\nexec 2>&1\n', 'producer-for': 'app-log' }),
    ...longrun('app-log', { ...BASE, 'consumer-for': 'app', 'pipeline-name': 'app-pipeline' }),
    ...bundle('all', ['prepare']),
    ...oneshot('prepare', BASE),
  }
  assert.equal(codesOf({ ...CURRENT, ...under('s6-rc.d', services) }), [])
})

test('a user service that waits for the legacy services, which wait for it, is a cycle', () => {
  const files = { ...CURRENT, ...under('s6-rc.d', longrun('app', { 'dependencies.d/legacy-services': '' })) }
  assert.equal(codesOf(files), ['S6_DEPENDENCY_CYCLE'])
  const late = {
    ...under('s6-rc.d', longrun('app', { 'dependencies.d/legacy-services': '' })),
    ...under('user-bundles.d', { ...bundle('user', [], { 'contents.d/.empty': '' }), ...bundle('user2', ['app']) }),
  }
  assert.equal(codesOf(late), [])
})

test('a service with the name of one of s6-overlay is refused', () => {
  assert.equal(codesOf({ ...CURRENT, ...under('s6-rc.d', bundle('base', ['app'])) }), [
    'S6_DEPENDENCY_CYCLE',
    'S6_DUPLICATE_NAME',
  ])
})

test('paths that s6-overlay 3 does not have by itself are doubted in a profile', () => {
  const run = '#!/usr/bin/with-contenv sh\nexec sleep 9\n'
  assert.equal(codesOf({ ...CURRENT, 's6-rc.d/app/run': run }), ['S6_BAD_SHEBANG'])
})

test('a rootfs is checked in /etc/s6-overlay and in every other profile, its scripts included', () => {
  const files = {
    ...under('etc/s6-overlay', CURRENT),
    ...under('etc/s6-overlay/s6-rc.d', oneshot('prepare', { ...BASE, up: '/etc/s6-overlay/scripts/prepare\n' })),
    'etc/s6-overlay/user-bundles.d/user/contents.d/prepare': '',
    'etc/s6-overlay/scripts/prepare': '#!/bin/sh\n',
    ...under('etc/cont-profile.d/small/s6-overlay', { ...LEGACY, 's6-rc.d/app/timeout-kill': 'soon\n' }),
    'usr/huge/service/run': '',
  }
  const directory = writeTree(files)
  const found = () => checkDirectory(directory).diagnostics.map(({ code, file }) => [code, file])
  const profile = ['S6_BAD_NUMBER', 'etc/cont-profile.d/small/s6-overlay/s6-rc.d/app/timeout-kill']
  assert.equal(found(), [profile, ['S6_NOT_EXECUTABLE', 'etc/s6-overlay/s6-rc.d/prepare/up']])
  chmodSync(join(directory, 'etc/s6-overlay/scripts/prepare'), 0o755)
  assert.equal(found(), [profile])
})

test('a script that lies beside the command line that calls it is no stray file', () => {
  const up = '/etc/s6-overlay/s6-rc.d/prepare/run\n'
  const prepare = under('etc/s6-overlay/s6-rc.d', oneshot('prepare', { ...BASE, up, run: '#!/bin/sh\n' }))
  const start = { 'etc/s6-overlay/user-bundles.d/user/contents.d/prepare': '' }
  assert.equal(codesOf({ ...under('etc/s6-overlay', CURRENT), ...prepare, ...start }), ['S6_NOT_EXECUTABLE'])
})

test('an absolute link of a rootfs means a path of the container', () => {
  const directory = writeTree({
    ...under('etc/s6-overlay', CURRENT),
    'etc/s6-overlay/s6-rc.d/app/finish': '-> /etc/s6-overlay/scripts/finish',
    'etc/s6-overlay/scripts/finish': '#!/bin/sh\n',
  })
  assert.equal(checkDirectory(directory).diagnostics, [])
})

test('a profile fragment is told what s6-overlay would add when its sources are checked alone', () => {
  const [finding] = checkDirectory(writeTree(longrun('app', BASE))).diagnostics
  assert.is(finding?.code, 'S6_UNDEFINED_DEPENDENCY')
  assert.match(finding?.hint ?? '', 's6-overlay')
})

test('a scan directory of plain s6 is checked by the rules that hold there', () => {
  const files = {
    'app/run': '#!/bin/sh\nexec sleep 9\n',
    'app/log/run': 'exec s6-log /x\n',
    'app/log/notification-fd': '5s\n',
    'app/down': '',
    'empty/': '',
  }
  const { diagnostics } = checkDirectory(writeTree(files))
  assert.equal(
    diagnostics.map(({ code, file }) => [code, file]),
    [
      ['S6_BAD_NUMBER', 'app/log/notification-fd'],
      ['S6_BAD_SHEBANG', 'app/log/run'],
      ['S6_MISSING_FILE', 'empty'],
    ],
  )
})

test('a tree that a render has left unfinished is refused', () => {
  const { diagnostics } = checkDirectory(writeTree({ ...CURRENT, '.machinegen/unfinished': '' }))
  assert.equal(
    diagnostics.map(({ code, severity, file }) => [code, severity, file]),
    [['S6_UNFINISHED', 'error', '.machinegen/unfinished']],
  )
})

test('a directory without services is refused', () => {
  assert.equal(codesOf({ 'src/main.ts': '' }), ['S6_NO_SERVICES'])
  assert.equal(codesOf({}), ['S6_NO_SERVICES'])
  assert.equal(codesOf({ 's6-rc.d/': '' }), ['S6_NO_SERVICES'])
})

test('a directory that cannot be read, and a version that is none, are errors', () => {
  const missing = join(temporaryDirectory(), 'missing')
  assert.throws(() => checkDirectory(missing), new RegExp(`^cannot check "${missing}": ENOENT`))
  assert.throws(() => checkDirectory(writeTree({ file: '' }).concat('/file')), /cannot check ".*file": ENOTDIR/)
  assert.throws(() => checkDirectory('.', { overlayVersion: 'latest' }), /version "latest" is not like 3\.2\.3\.2/)
})

test('a finding has its range in the file, and the text of the file comes along', () => {
  const directory = writeTree({
    ...longrun('ärger', { 'timeout-kill': '5s\n' }),
    ...longrun('b', { dependencies: '# first\n  ghost\n' }),
    ...oneshot('c', { up: 'echo "ü" | sort\n' }),
  })
  const { diagnostics, texts } = checkDirectory(directory)
  const parts = diagnostics.map(({ file, range }) => {
    const { start, end } = range
    return [file, texts.get(file)?.slice(start.offset, end.offset), start.line, start.column, end.column]
  })
  assert.equal(parts, [
    ['b/dependencies', 'ghost', 2, 3, 8],
    ['c/up', '|', 1, 10, 11],
    ['ärger', undefined, 1, 1, 1],
    ['ärger/timeout-kill', '5s', 1, 1, 3],
  ])
})

test('a cycle is printed as the way around, with each step related', () => {
  const files = {
    ...longrun('a', { 'dependencies.d/group': '' }),
    ...bundle('group', ['b']),
    ...longrun('b', { dependencies: 'c\n' }),
    ...longrun('c', { 'dependencies.d/a': '' }),
    ...longrun('aside', { 'dependencies.d/a': '' }),
  }
  const { diagnostics } = checkDirectory(writeTree(files))
  assert.is(diagnostics.length, 1)
  assert.is(diagnostics[0]?.message, 'cannot order services: "a" -> "group" -> "b" -> "c" -> "a" is a cycle')
  assert.equal(
    diagnostics[0]?.related?.map(({ file }) => file),
    ['group/contents.d/b', 'b/dependencies', 'c/dependencies.d/a'],
  )
})

test('every independent cycle is found, and all findings come at once', () => {
  const files = {
    ...longrun('a', { 'dependencies.d/b': '' }),
    ...longrun('b', { 'dependencies.d/a': '', 'timeout-up': 'x' }),
    ...longrun('c', { 'dependencies.d/c': '', type: 'longrun\n', 'down-signal': 'NOPE' }),
  }
  assert.equal(
    checkDirectory(writeTree(files)).diagnostics.map(({ code }) => code),
    ['S6_DEPENDENCY_CYCLE', 'S6_BAD_NUMBER', 'S6_DEPENDENCY_CYCLE', 'S6_BAD_SIGNAL'],
  )
})

test('a missing name comes with the nearest one that exists', () => {
  const { diagnostics } = checkDirectory(
    writeTree({ ...longrun('redis-worker'), ...longrun('a', { 'dependencies.d/redis_worker': '' }) }),
  )
  assert.match(diagnostics[0]?.hint ?? '', '"redis-worker"')
})

test('what is not a file of text does no harm', () => {
  const binary = String.fromCharCode(0xd800, 0, 0xfffd, 1).repeat(50_000)
  const codes = codesOf({
    ...longrun('a', { run: binary, 'notification-fd': binary, 'env/A': binary }),
    ...oneshot('b', { up: binary }),
  })
  assert.ok(codes.includes('S6_BAD_NUMBER'))
})

test('where s6-rc-compile is missing the check goes on without its verdict', () => {
  const path = process.env.PATH
  process.env.PATH = temporaryDirectory()
  try {
    assert.equal(compileVerdict([]), { available: false })
    assert.equal(checkDirectory(writeTree(longrun('a'))).diagnostics, [])
  } finally {
    process.env.PATH = path
  }
})

test('a verdict of s6-rc-compile that differs from ours is a finding', () => {
  const path = process.env.PATH
  const tools = writeTree({ 's6-rc-compile': '#!/bin/sh\necho "s6-rc-compile: fatal: no reason" >&2\nexit 1\n' })
  chmodSync(join(tools, 's6-rc-compile'), 0o755)
  process.env.PATH = `${tools}:/usr/bin:/bin`
  try {
    const [finding] = checkDirectory(writeTree(longrun('a'))).diagnostics
    assert.is(finding?.code, 'S6_COMPILER_DISAGREES')
    assert.is(finding?.severity, 'error')
    assert.match(finding?.message ?? '', 'no reason')
    assert.equal(checkDirectory(writeTree(longrun('a')), { compile: false }).diagnostics, [])
    writeTree({ 's6-rc-compile': '#!/bin/sh\n' }, tools)
    const [other] = checkDirectory(writeTree(longrun('a', { 'timeout-up': 'x' }))).diagnostics
    assert.is(other?.code, 'S6_COMPILER_DISAGREES')
    assert.is(other?.severity, 'warning')
  } finally {
    process.env.PATH = path
  }
})

test.run()
