import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { machinegen } from '../fixtures/built-cli.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const machine = (services: string) =>
  `machine: { id: m1, gpu: { count: 2, memoryGB: 24, model: X } }\nservices:\n${services}`

test('the patch that diff prints turns the old tree into the new one', () => {
  const cwd = temporaryDirectory()
  const save = (services: string) => writeFileSync(join(cwd, 'machine.yaml'), machine(services))
  save('  nginx: {}\n  comfyui: {}\n')
  machinegen(['render', '--out', 'tree', '-q'], { cwd })
  const same = machinegen(['diff', '--out', 'tree'], { cwd })
  assert.equal(same, { exitCode: 0, stdout: '', stderr: '' })

  save('  nginx: {}\n  comfyui: { basePort: 9000 }\n  automatic1111: {}\n')
  const diff = machinegen(['diff', '--out', 'tree'], { cwd })
  assert.is(diff.exitCode, 1)
  assert.match(diff.stdout, /^\+ {6}"port": 9000,$/m)
  assert.match(diff.stdout, /^new file mode 100755$/m)

  save('  comfyui: { basePort: 9000 }\n  automatic1111: {}\n')
  const { stdout: patch } = machinegen(['diff', '--out', 'tree'], { cwd })
  const applied = spawnSync('git', ['apply', '-'], { cwd: join(cwd, 'tree'), input: patch, encoding: 'utf8' })
  assert.is(applied.status, 0, applied.stderr)
  assert.equal(machinegen(['diff', '--out', 'tree'], { cwd }), { exitCode: 0, stdout: '', stderr: '' })
})

test('diff of a machine with errors shows the errors', () => {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'machine.yaml'), machine('  comfy: {}\n'))
  const { exitCode, stdout, stderr } = machinegen(['diff', '--out', 'tree'], { cwd })
  assert.equal([exitCode, stdout], [1, ''])
  assert.match(stderr, 'error[')
})

test.run()
