import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bootIdFile, bootStartedAtMs, computeBootId, readBootId } from '../../runtime/shared/boot-id.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { bundleProgram, until } from './local-tree.ts'
import { supervise, writeMachine } from './supervised-machine.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('an id is a UUID, the same at each call, another one for another machine', () => {
  assert.match(computeBootId('a'), UUID)
  assert.is(computeBootId('a'), computeBootId('a'))
  assert.is.not(computeBootId('a'), computeBootId('b'))
})

test('a process outside reads it from the file, and does without where there is none', () => {
  const run = temporaryDirectory()
  assert.match(readBootId({ run }, 'a'), UUID)
  mkdirSync(run, { recursive: true })
  writeFileSync(bootIdFile({ run }), 'of the sidecar\n')
  assert.is(readBootId({ run }, 'a'), 'of the sidecar')
})

test('all processes below a supervisor have one id, those of its next start another', async () => {
  const directory = temporaryDirectory()
  const program = bundleProgram('test/runtime/boot-id.fixture.ts', `${directory}/program.mjs`)
  const tree = await writeMachine(
    ['a', 'b'].map((name) => ({ name, command: [process.execPath, program, `${directory}/${name}`] })),
  )
  const idsOfBoot = async (): Promise<string[]> => {
    const startedMs = Date.now()
    const { stop } = await supervise(tree)
    try {
      await until('both have written', 10_000, () => existsSync(`${directory}/a`) && existsSync(`${directory}/b`))
      await until('the sidecar has written', 10_000, () => existsSync(bootIdFile(tree.plan.paths)))
      const ids = [`${directory}/a`, `${directory}/b`, bootIdFile(tree.plan.paths)].map((file) =>
        readFileSync(file, 'utf8').trim(),
      )
      assert.ok(bootStartedAtMs(Date.now()) < startedMs, 'this process is not below it')
      return ids
    } finally {
      await stop()
    }
  }
  const first = await idsOfBoot()
  assert.is(new Set(first).size, 1, first.join())
  const before = first[0]!
  const second = await until('the next boot has written its own', 20_000, async () => {
    const ids = await idsOfBoot()
    return ids.includes(before) ? null : ids
  })
  assert.is(new Set(second).size, 1, second.join())
})

test.run()
