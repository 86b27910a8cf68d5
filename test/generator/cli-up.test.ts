import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { machinegen, startMachinegen, waitFor } from '../fixtures/built-cli.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const hasS6 = spawnSync('s6-svscan', ['--help']).error === undefined

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

async function machine(): Promise<{ cwd: string; port: number }> {
  const cwd = temporaryDirectory()
  const [port, sidecarPort] = [await freePort(), await freePort()]
  const text = [
    'machine: { id: m1, gpu: { count: 1, memoryGB: 24, model: X } }',
    'services:',
    `  comfyui: { basePort: ${port} }`,
    `sidecar: { port: ${sidecarPort} }`,
    '',
  ].join('\n')
  writeFileSync(join(cwd, 'machine.yaml'), text)
  return { cwd, port }
}

test('up refuses a machine with errors before it starts anything', async () => {
  const { cwd } = await machine()
  const { exitCode, stdout, stderr } = machinegen(['up', '--set', 'services.comfyui.basePort=nonsense'], { cwd })
  assert.equal([exitCode, stdout], [1, ''])
  assert.match(stderr, 'error[WRONG_TYPE]')
  assert.not(existsSync(join(cwd, '.machine')))
})

const testWithS6 = hasS6 ? test : test.skip

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/system_stats`)).ok
  } catch {
    return false
  }
}

testWithS6('up renders into ./.machine/<id>, runs the machine, and ends with it on Ctrl-C', async () => {
  const { cwd, port } = await machine()
  const { child, output, ended } = startMachinegen(['up', '--simulate'], { cwd })
  try {
    await waitFor('the machine', () => output.stdout.includes('all ready'), 60_000)
    assert.ok(await answers(port))
    assert.ok(existsSync(join(cwd, '.machine/m1/config/plan.json')))
  } finally {
    child.kill('SIGINT')
  }
  assert.is(await ended, 0, output.stderr)
  assert.not(await answers(port))
})

testWithS6('up stops the machine also when its terminal is gone', async () => {
  const { cwd, port } = await machine()
  const { child, output, ended } = startMachinegen(['up', '--simulate', '--state-dir', 'state'], { cwd })
  await waitFor('the machine', () => output.stdout.includes('all ready'), 60_000)
  child.stdout.destroy()
  child.stderr.destroy()
  child.kill('SIGHUP')
  assert.is(await ended, 0)
  assert.not(await answers(port))
})

test.run()
