import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bundleProvisioner, hashOfFile, provisionThroughKills } from '../fixtures/killed-provisioner.ts'
import { modelPlan } from '../fixtures/model-plan.ts'
import { fileOf, startModelServer } from '../fixtures/model-server.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const KILLS = 20
const MB = 1024 * 1024

/** Small ones, and two that come in parts. */
const SIZES = [40 * MB, 33 * MB, ...Array.from({ length: 18 }, (_, index) => 40_000 + index * 130_000)]

test('killed at any moment, it goes on where it was: every byte is right, and hardly any came twice', async () => {
  const root = temporaryDirectory()
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const generator = fc.sample(fc.double({ min: 0, max: 1, noNaN: true }), { seed, numRuns: KILLS * 4 })
  const random = () => generator.pop() ?? 0.5
  const server = await startModelServer()
  server.bytesPerSecond = 4 * MB
  server.latencyMs = 30
  try {
    const contents = SIZES.map(fileOf)
    const models = contents.map((content, index) => {
      server.files.set(`/${index}.bin`, { content })
      // Half of them know their hash.
      const sha256 = index % 2 === 0 ? createHash('sha256').update(content).digest('hex') : null
      return { url: server.url(`/${index}.bin`), sha256 }
    })
    const plan = modelPlan(root, models)
    const program = await bundleProvisioner(root)
    const { sentBytes } = server
    const result = await provisionThroughKills({
      program,
      root,
      plan,
      kills: KILLS,
      random,
      mostLifeMs: 600,
      sentBytes,
    })
    assert.is(result.code, 0, `seed ${seed}: ${result.text}`)
    const folder = `${root}/workspace/shared/models/checkpoints`
    for (const [index, content] of contents.entries()) {
      const expected = createHash('sha256').update(content).digest('hex')
      assert.is(await hashOfFile(`${folder}/${index}.bin`), expected, `seed ${seed}: ${index}.bin`)
    }
    assert.is(readdirSync(folder).length, SIZES.length, 'no part is left')
    const total = SIZES.reduce((sum, size) => sum + size, 0)
    const ratio = server.sentBytes() / total
    console.log(`  ${result.kills} kills, ${ratio.toFixed(3)} x the bytes were sent (seed ${seed})`)
    assert.ok(result.kills >= KILLS / 2, `seed ${seed}: only ${result.kills} kills`)
    assert.ok(ratio <= 1.1, `seed ${seed}: ${ratio} x the bytes were sent`)
  } finally {
    await server.close()
  }
})

test.run()
