import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startMachinegen, waitFor } from '../fixtures/built-cli.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const machine = (port: number | string) =>
  `machine: { id: m1, gpu: { count: 1, memoryGB: 24, model: X } }\nservices:\n  comfyui: { basePort: ${port} }\n`

test('render --watch follows every save of any layer, and keeps the last good tree through a mistake', async () => {
  const cwd = temporaryDirectory()
  const save = (name: string, text: string) => writeFileSync(join(cwd, name), text)
  /** As editors do that never leave half a file. */
  const replace = (name: string, text: string) => {
    save(`${name}.new`, text)
    renameSync(join(cwd, `${name}.new`), join(cwd, name))
  }
  save('base.yaml', machine(9001))
  save('site.yaml', 'machine: { id: m2 }\n')
  const words = ['render', 'base.yaml', '-f', 'site.yaml', '--out', 'tree', '--watch']
  const { child, output, ended } = startMachinegen(words, { cwd })
  try {
    const planText = () => {
      try {
        return readFileSync(join(cwd, 'tree/etc/machinegen/plan.json'), 'utf8')
      } catch {
        return ''
      }
    }
    const hasPort = (port: number) => () => planText().includes(`"port": ${port}`)
    await waitFor('the first tree', hasPort(9001))
    await waitFor('the watch', () => output.stderr.includes('watching base.yaml, site.yaml'))

    save('base.yaml', machine(9002))
    await waitFor('a save', hasPort(9002))

    replace('base.yaml', machine(9003))
    await waitFor('a replacement', hasPort(9003))
    replace('base.yaml', machine(9004))
    await waitFor('a second replacement', hasPort(9004))

    const good = planText()
    save('base.yaml', machine('nonsense'))
    await waitFor('the complaint', () => output.stderr.includes('tree: kept as it was'))
    assert.match(output.stderr, 'error[WRONG_TYPE]')
    assert.is(planText(), good)

    save('base.yaml', machine(9005))
    await waitFor('the repair', hasPort(9005))
    save('site.yaml', 'machine: { id: m3 }\n')
    await waitFor('the other layer', () => planText().includes('"id": "m3"'))
    assert.is(output.stdout, '')
  } finally {
    child.kill('SIGINT')
  }
  assert.is(await ended, 0)
})

test('standard input cannot be watched', async () => {
  const { output, ended } = startMachinegen(['render', '-', '--out', 'tree', '--watch'], { cwd: temporaryDirectory() })
  assert.is(await ended, 2)
  assert.match(output.stderr, 'cannot watch standard input')
})

test.run()
