import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type CompileInput, compile } from '../../generator/compile.ts'
import { explain, nearestName, type PlannedCompilation } from '../../generator/explain/explain.ts'
import { formatExplanations } from '../../generator/explain/format-explanation.ts'
import { formatPlan } from '../../generator/explain/plan-table.ts'

const BASE = `machine:
  id: m1
  gpu: { count: 2, memoryGB: 24, model: X }
services:
  nginx: { auth: { password: hunter22 } }
  comfyui:
    basePort: 8188
    args: [--fast]
  redisWorker: {}
  my-api: { command: [node, "a b.js"], port: 7000, env: { MODE: "\${MODE:-slow}" }, dependsOn: [comfyui] }
redis: { url: "\${HUB_REDIS_URL:-}" }
`
const SITE = 'services: { comfyui: { stop: { timeout: "${GRACE:-20s}" } } }\n'

function compiled(more: Partial<CompileInput> = {}): PlannedCompilation {
  const sources = [
    { file: 'base.yaml', text: BASE },
    { file: 'site.yaml', text: SITE },
  ]
  const compilation = compile({ sources, environment: { GRACE: '25s' }, ...more })
  const { plan, diagnostics } = compilation
  if (plan === null) throw new Error(JSON.stringify(diagnostics))
  return { ...compilation, plan }
}

/** The lines of these fields, without the padding. */
function lines(compilation: PlannedCompilation, name: string, ...fields: string[]): string[] {
  return formatExplanations(explain(compilation, name))
    .split('\n')
    .map((line) => line.trim().replace(/ {2,}/g, ' | '))
    .filter((line) => fields.some((field) => line.startsWith(`${field} |`)))
}

test('a value is explained by the place that decided it, and by what was done with it', () => {
  const compilation = compiled({ sets: ['services.comfyui.logs.maxFiles=3'], portOffset: 1000 })
  assert.equal(
    lines(compilation, 'comfyui-gpu1', 'port', 'listen', 'stop.timeoutMs', 'logs.maxFiles', 'args', 'threadShare'),
    [
      'port | 9189 | base.yaml:7:15 basePort 8188 + 1 (GPU 1) + 1000 (port offset)',
      'listen | 127.0.0.1 | default services.comfyui.listen 127.0.0.1',
      'threadShare | 2 | machinegen',
      'stop.timeoutMs | 25s | site.yaml:1:41 timeout "${GRACE:-20s}" ($GRACE)',
      'logs.maxFiles | 3 | --set services.comfyui.logs.maxFiles=3',
      'args | [--fast] | base.yaml:8:11 args [--fast]',
    ],
  )
})

test('a variable of the original machines is named as the origin', () => {
  const compilation = compiled({ applyEnvironment: true, environment: { COMFYUI_PORT_START: '9300' } })
  assert.equal(lines(compilation, 'comfyui-gpu0', 'port'), ['port | 9300 | $COMFYUI_PORT_START'])
})

test('of a secret only the name is told', () => {
  const text = formatExplanations(['redis-worker-gpu0', 'nginx'].flatMap((name) => explain(compiled(), name)))
  assert.match(text, 'the secret "redis-url"')
  assert.match(text, '($HUB_REDIS_URL)')
  assert.not.match(text, 'hunter22')
})

test('a key and a bundle explain all their instances', () => {
  const titles = (name: string) => explain(compiled(), name).map(({ title }) => title)
  assert.equal(titles('comfyui'), ['comfyui-gpu0 (comfyui, GPU 0)', 'comfyui-gpu1 (comfyui, GPU 1)'])
  assert.equal(titles('gpu1'), ['comfyui-gpu1 (comfyui, GPU 1)', 'redis-worker-gpu1 (redis-worker, GPU 1)'])
  assert.equal(titles('redis-worker'), titles('redisWorker'))
  assert.equal(titles('nginx'), ['nginx'])
  assert.equal(titles('nothing'), [])
})

test('a port is explained by who has it, the proxy and the sidecar included', () => {
  const port = (number: number) => formatExplanations(explain(compiled(), String(number)))
  assert.is(port(8189), 'port 8189: comfyui-gpu1\n  port  8189  base.yaml:7:15 basePort 8188 + 1 (GPU 1)\n')
  assert.is(
    port(3189),
    'port 3189: nginx, in front of comfyui-gpu1\n  port  3189  default services.nginx.gpuPorts.comfyui 3188 + 1 (GPU 1)\n',
  )
  assert.is(port(80), 'port 80: nginx\n  port  80  default services.nginx.port 80\n')
  assert.is(port(9090), 'port 9090: sidecar\n  port  9090  default sidecar.port 9090\n')
  assert.is(port(1), '')
})

test('the ports of TLS count too', () => {
  const sets = ['services.nginx.tls={"certificate":"/c.pem","key":"/k.pem"}']
  const [explanation] = explain(compiled({ sets }), '443')
  assert.is(explanation?.title, 'port 443: nginx (TLS)')
})

test('words that a shell would split are quoted', () => {
  const { values } = explain(compiled(), 'my-api')[0]!
  assert.is(values.find(({ field }) => field === 'command')?.value, 'node "a b.js"')
  assert.is(values.find(({ field }) => field === 'waitsFor')?.origin.file, 'base.yaml')
})

test('an unknown name is met with the nearest one', () => {
  const { plan } = compiled()
  assert.is(nearestName(plan, 'comfy-gpu1'), 'comfyui-gpu1')
  assert.is(nearestName(plan, 'my_apo'), 'my-api')
  assert.is(nearestName(plan, 'zzzzzz'), undefined)
})

test('the table of a plan has a row for each service, and ends with the longest stop', () => {
  const sets = ['machine.stopGracePeriod=90s']
  assert.is(
    formatPlan(compiled({ sets }).plan),
    `m1: 2 GPUs: X, 24 GB, container

SERVICE            GPU  PORT  ROUTE                        WAITS FOR                    RESTARTS  STOP
sidecar            -    9090  /api/                        -                            always    TERM 3s
nginx              -    80    /                            -                            5 in 10m  QUIT 5s
comfyui-gpu0       0    8188  /comfyui/0/ /comfyui/ :3188  -                            5 in 10m  INT 25s
comfyui-gpu1       1    8189  /comfyui/1/ /comfyui/ :3189  -                            5 in 10m  INT 25s
worker-package     -    -     -                            -                            50 in 6h  TERM 2s
redis-worker-gpu0  0    -     -                            worker-package comfyui-gpu0  5 in 10m  TERM 30s
redis-worker-gpu1  1    -     -                            worker-package comfyui-gpu1  5 in 10m  TERM 30s
my-api             -    7000  -                            comfyui-gpu0 comfyui-gpu1    5 in 10m  TERM 10s
verify             -    -     -                            -                            50 in 6h  TERM 2s

longest stop: 64s of 90s: redis-worker-gpu0 30s, then comfyui-gpu0 25s, then nginx 5s, then sidecar 3s
`,
  )
})

test.run()
