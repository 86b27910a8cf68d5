import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'uvu'
import { checkDirectory } from '../../generator/check/check-directory.ts'
import { compile } from '../../generator/compile.ts'
import type { JsonObject } from '../../generator/load/origin.ts'
import type { Plan } from '../../schema/plan.ts'
import { machineDocument, shuffled } from '../fixtures/machine-arbitrary.ts'
import { nginxTest } from '../fixtures/nginx-test.ts'
import { writeArtifacts } from '../fixtures/write-artifacts.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** Findings that a machine of the right shape may have; anything else is a fault of the compiler or of the test. */
const EXPECTED_ERRORS = new Set(['RESERVED_NAME', 'BAD_NAME', 'NAME_CONFLICT'])

const render = (document: JsonObject) =>
  compile({ sources: [{ file: 'machine.json', text: JSON.stringify(document) }] })

function portsOf(plan: Plan): number[] {
  const proxy =
    plan.proxy === null ? [] : [plan.proxy.port, plan.proxy.tls?.port, ...plan.proxy.gpuPorts.map((gpu) => gpu.port)]
  return [
    ...plan.services.filter((service) => service.type !== 'nginx').map((service) => service.port),
    ...proxy,
  ].filter((port) => typeof port === 'number')
}

test('any machine of the right shape compiles, with no port twice and no name twice', () => {
  fc.assert(
    fc.property(machineDocument, (document) => {
      const { plan, diagnostics } = render(document)
      const errors = diagnostics.filter(({ severity, code }) => severity === 'error' && !EXPECTED_ERRORS.has(code))
      assert.deepEqual(errors, [])
      assert.ok(plan)
      assert.equal(new Set(portsOf(plan)).size, portsOf(plan).length, 'a port stands twice in the plan')
      const names = plan.services.map((service) => service.name)
      assert.equal(new Set(names).size, names.length, 'a name stands twice in the plan')
    }),
    { numRuns: 300 },
  )
})

test('the same machine gives the same bytes, twice and with the keys of its maps in another order', () => {
  fc.assert(
    fc.property(machineDocument, (document) => {
      const expected = render(document).artifacts
      assert.deepEqual(render(document).artifacts, expected)
      const reversed = shuffled(document, (keys) => [...keys].reverse()) as JsonObject
      assert.deepEqual(render(reversed).artifacts, expected)
    }),
    { numRuns: 100 },
  )
})

test('every tree passes the checker', () => {
  fc.assert(
    fc.property(machineDocument, (document) => {
      const { artifacts, plan } = render(document)
      fc.pre(artifacts.length > 0 && plan !== null)
      const directory = temporaryDirectory()
      writeArtifacts(directory, artifacts)
      const { diagnostics } = checkDirectory(directory, { overlayVersion: plan.machine.s6Overlay })
      assert.deepEqual(
        diagnostics.map(({ code, file, message }) => ({ code, file, message })),
        [],
      )
    }),
    { numRuns: 40 },
  )
})

test('the real nginx accepts every configuration', () => {
  fc.assert(
    fc.property(machineDocument, (document) => {
      const { artifacts, plan } = render(document)
      fc.pre(plan?.proxy !== null && plan?.proxy !== undefined && artifacts.length > 0)
      assert.equal(nginxTest(plan, artifacts), '')
    }),
    { numRuns: 40 },
  )
})

test.run()
