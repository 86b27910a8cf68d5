import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../generator/compile.ts'
import { setUpMachine } from '../../runtime/provision/setup.ts'
import type { Plan } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** A machine of two GPUs below a directory, as `up` would run it. */
function planBelow(root: string): Plan {
  const machine = {
    machine: { id: 'm', gpu: { count: 2, mock: true } },
    services: { comfyui: {}, automatic1111: {}, redisWorker: {}, ollama: {} },
    redis: { url: 'redis://127.0.0.1:1', authToken: '' },
  }
  const { plan } = compile({
    sources: [{ file: 'machine.json', text: JSON.stringify(machine) }],
    target: 'local',
    local: { stateDirectory: root, programDirectory: `${root}/programs`, node: process.execPath },
  })
  return { ...plan!, secrets: [], secretFiles: [] }
}

function setUp(plan: Plan): string[] {
  const notes: string[] = []
  assert.equal(
    setUpMachine(plan, {}, (line) => notes.push(line)),
    [],
  )
  return notes
}

test('an empty volume gets the layout of the original machines', () => {
  const root = temporaryDirectory()
  const workspace = `${root}/workspace`
  assert.equal(setUp(planBelow(root)), [])
  const shared = ['models/checkpoints', 'models/loras', 'models/unet', 'custom_nodes', 'workflows', 'input']
  for (const directory of [
    ...shared.map((name) => `shared/${name}`),
    ...[
      'comfyui_gpu0/user',
      'comfyui_gpu1/output',
      'a1111_gpu1',
      'ollama',
      'logs/comfyui-gpu0',
      'logs/redis-worker-gpu1',
    ],
  ]) {
    assert.ok(lstatSync(`${workspace}/${directory}`).isDirectory(), directory)
  }
  assert.is(
    realpathSync(`${workspace}/comfyui_gpu1/user/default/workflows`),
    realpathSync(`${workspace}/shared/workflows`),
  )
  writeFileSync(`${workspace}/logs/comfyui-gpu0/current`, 'a line')
  assert.is(readFileSync(`${workspace}/comfyui_gpu0/logs/output.log`, 'utf8'), 'a line')
  assert.is(readlinkSync(`${workspace}/worker_gpu1/logs/output.log`), '../../logs/redis-worker-gpu1/current')
})

test("setup repeated changes nothing, and what is a user's stays where it is", () => {
  const root = temporaryDirectory()
  const workspace = `${root}/workspace`
  const plan = planBelow(root)
  const workflows = (gpu: number) => `${workspace}/comfyui_gpu${gpu}/user/default/workflows`
  mkdirSync(workflows(0), { recursive: true })
  writeFileSync(`${workflows(0)}/mine.json`, '{}')
  mkdirSync(workflows(1), { recursive: true })
  mkdirSync(`${workspace}/a1111_gpu0/logs`, { recursive: true })
  writeFileSync(`${workspace}/a1111_gpu0/logs/output.log`, 'of old')
  const expected = [
    `"${workflows(0)}" is a directory with files in it: it stays, and "${workspace}/shared/workflows" is not linked there`,
    `"${workspace}/a1111_gpu0/logs/output.log" is a file: it stays, and "${workspace}/logs/automatic1111-gpu0/current" is not linked there`,
  ]
  assert.equal(setUp(plan), expected)
  assert.equal(setUp(plan), expected)
  assert.is(readFileSync(`${workflows(0)}/mine.json`, 'utf8'), '{}')
  assert.ok(lstatSync(workflows(1)).isSymbolicLink(), 'an empty directory is nobody’s')
})

test('static-models.json links models, and says of each entry that it cannot use why', () => {
  const root = temporaryDirectory()
  const shared = `${root}/workspace/shared`
  mkdirSync(`${shared}/sd_models/Stable-diffusion`, { recursive: true })
  writeFileSync(`${shared}/sd_models/Stable-diffusion/sd15.safetensors`, 'a model')
  const symlinks = [
    { source: 'Stable-diffusion/sd15.safetensors', target: 'checkpoints/sd15.safetensors', description: 'SD 1.5' },
    { source: '../../etc/passwd', target: 'checkpoints/x' },
    { source: 'gone.ckpt', target: 'checkpoints/gone.ckpt' },
    'nonsense',
  ]
  writeFileSync(`${shared}/static-models.json`, JSON.stringify({ symlinks, no_index: [] }))
  const plan = planBelow(root)
  const notes = setUp(plan)
  assert.is(readFileSync(`${shared}/models/checkpoints/sd15.safetensors`, 'utf8'), 'a model')
  assert.is(notes.length, 3, notes.join('\n'))
  assert.match(notes.join('\n'), /symlinks\[1\].*paths inside[\s\S]*symlinks\[2\].*there is no[\s\S]*symlinks\[3\]/)
  assert.equal(readdirSync(`${shared}/models/checkpoints`), ['sd15.safetensors'])
  writeFileSync(`${shared}/static-models.json`, '{')
  assert.match(setUp(plan)[0]!, /cannot read ".*static-models\.json": it has no list "symlinks"/)
  assert.ok(existsSync(`${shared}/models/checkpoints/sd15.safetensors`), 'what was linked stays')
})

test.run()
