import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { emitNginx } from '../../generator/emit/nginx/emit-nginx.ts'
import { renderTemplate } from '../../generator/emit/template.ts'
import type { Plan } from '../../schema/plan.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { writeNginx } from '../system/nginx-machine.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const MARKER = 'Made from machine.yaml by `machinegen render`: edit that file.'
const ALL_TYPES = ['comfyui', 'automatic1111', 'redis-worker', 'ollama'] as const

const conf = (plan: Plan) => emitNginx(plan, MARKER)[0]?.content.toString() ?? ''

/** What `nginx -t` says, without the two lines that say that all is well; empty where it has nothing against it. */
function complaints(plan: Plan): string {
  writeNginx(plan)
  const { status, stderr } = spawnSync('nginx', ['-t', '-c', plan.proxy?.configFile ?? '', '-e', 'stderr'], {
    encoding: 'utf8',
  })
  const rest = stderr.split('\n').filter((line) => !/syntax is ok$|test is successful$/.test(line))
  return `${status === 0 ? '' : `exit ${status}`}${rest.join('\n')}`
}

test('a machine without a proxy has no file of nginx', () => {
  assert.equal(emitNginx(planFixture({ proxy: null }), MARKER), [])
})

test('the files lie where the plan says, relative to its root, and begin with the marker', () => {
  for (const root of ['/', '/home/me/machine']) {
    const files = emitNginx(planFixture({ root }), MARKER)
    assert.equal(
      files.map(({ path, mode, source }) => [path, mode, source]),
      ['nginx.conf', 'index.html', 'starting.html', 'refused.html'].map((name) => [
        `config/nginx/${name}`,
        0o644,
        'nginx',
      ]),
    )
    for (const { path, content } of files) {
      const [first] = content.toString().split('\n')
      assert.is(first, path.endsWith('.html') ? `<!-- ${MARKER} -->` : `# ${MARKER}`)
    }
  }
})

test('the same plan gives the same bytes', () => {
  const make = () => emitNginx(planFixture({ types: ALL_TYPES }), MARKER)
  assert.equal(make(), make())
})

test('a marker cannot leave its comment', () => {
  const files = emitNginx(planFixture(), 'a\nuser evil;\r\n--> <script>alert(1)</script> \u2028 --')
  assert.is(files[0]?.content.toString().split('\n')[1], 'daemon off;')
  for (const { path, content } of files.slice(1)) {
    const text = content.toString()
    assert.is(text.indexOf('-->'), text.indexOf('\n') - 3, path)
    assert.is(text.split('\n')[1], '<!doctype html>')
  }
})

test('nginx has nothing against any of these machines', () => {
  const auth = { mode: 'off', user: 'sd', passwordSecret: null, tokenSecret: null } as const
  const at = (options: Parameters<typeof planFixture>[0]) => planFixture({ root: temporaryDirectory(), ...options })
  const plans: Record<string, Plan> = {
    'nothing but nginx': at({ types: [] }),
    'no GPU': at({ types: ALL_TYPES, gpuCount: 0 }),
    'one GPU': at({ types: ALL_TYPES, gpuCount: 1 }),
    'eight GPUs': at({ types: ALL_TYPES, gpuCount: 8 }),
    '64 GPUs': at({ types: ALL_TYPES, gpuCount: 64 }),
    'no route at all': at({ proxy: { routes: [], gpuPorts: [] } }),
    'a balanced route over nothing': at({ proxy: { routes: [{ kind: 'balanced', path: '/comfyui/', services: [] }] } }),
    'no credential asked': at({ proxy: { auth } }),
    'health at the root': at({ proxy: { healthPath: '/' } }),
    'health where nginx answers for itself': at({ proxy: { healthPath: '/-/proxy' } }),
    'health where a service has it': at({ proxy: { healthPath: '/comfyui/0/health' } }),
    'IPv6 addresses': at({ proxy: { listen: '::1' }, services: { 'comfyui-gpu0': { address: '::1' } } }),
    'a stop in a moment': at({ services: { nginx: { stop: { signal: 'SIGQUIT', timeoutMs: 1 } } } }),
  }
  for (const [name, plan] of Object.entries(plans)) assert.is(complaints(plan), '', name)
})

test('two balanced routes whose names look alike do not share an instance', () => {
  const routes = ['a-b', 'a_b'].map((name) => ({
    kind: 'balanced' as const,
    path: `/${name}/`,
    services: name === 'a-b' ? ['comfyui-gpu0', 'comfyui-gpu1'] : ['automatic1111-gpu0', 'automatic1111-gpu1'],
  }))
  const plan = planFixture({ root: temporaryDirectory(), types: ALL_TYPES, proxy: { routes } })
  assert.is(complaints(plan), '')
})

test('every upstream has a server, and every upstream that a variable can name is there', () => {
  for (const gpuCount of [0, 1, 2, 8]) {
    const text = conf(planFixture({ types: ALL_TYPES, gpuCount }))
    const upstreams = new Map(
      [...text.matchAll(/^ {2}upstream (\S+) \{\n([\s\S]*?)^ {2}\}/gm)].map((m) => [m[1], m[2]]),
    )
    for (const [name, body] of upstreams) assert.match(body ?? '', /^ {4}server /m, name)
    const groups = [...text.matchAll(/map \S+ \$(\w+_(?:unpinned|group)|port_service) \{\n([\s\S]*?)^ {2}\}/gm)]
    const named = groups.flatMap(([, , body = '']) => [...body.matchAll(/ ([^\s$]+);/g)].map((match) => match[1]))
    assert.equal(
      named.filter((name) => !upstreams.has(name ?? '')),
      [],
    )
    assert.is(groups.length > 0, gpuCount > 0)
  }
})

test('each GPU port leads to its instance', () => {
  const plan = planFixture({ types: ALL_TYPES, gpuCount: 3 })
  for (const { port, service } of plan.proxy?.gpuPorts ?? []) {
    assert.match(conf(plan), `"${port}" ${service};`)
    assert.match(conf(plan), `listen "127.0.0.1:${port}"`)
  }
})

test('workers run as the user that the plan gives them', () => {
  assert.match(conf(planFixture({ root: '/', proxy: { workerUser: 'www-data' } })), /^user www-data;$/m)
})

test('nothing is read from /etc/nginx, and every path is absolute', () => {
  const text = conf(planFixture({ types: ALL_TYPES }))
  assert.not.match(text, '/etc/')
  for (const [, path] of text.matchAll(
    /^\s*(?:pid|include|root|access_log|auth_basic_user_file|\w+_temp_path) "?([^" ;]+)/gm,
  )) {
    assert.ok(path?.startsWith('/') || path === 'off', path)
  }
})

test('a route to a service that the plan lacks, or that has no port, is a bug that says its name', () => {
  const route = { kind: 'service', path: '/x/', service: 'ghost', host: 'forward' } as const
  assert.throws(() => conf(planFixture({ proxy: { routes: [route] } })), /cannot route to "ghost"/)
  const services = { 'comfyui-gpu0': { port: null } }
  assert.throws(() => conf(planFixture({ services })), /cannot route to "comfyui-gpu0": it has no port/)
})

test('a template that does not exist, and a value that is missing or is no text, are errors', () => {
  assert.throws(() => renderTemplate('nothing', {}), /cannot render "nothing": there is no templates\/nothing\.hbs/)
  assert.throws(() => renderTemplate('nginx-index.html', {}), /cannot quote undefined with "htmlComment"/)
  const view = { marker: 'm', machineId: 7, routes: [], gpuPorts: [], healthPath: null }
  assert.throws(() => renderTemplate('nginx-index.html', view), /cannot quote 7 with "htmlText"/)
})

test('values are text on the pages, whatever they are', () => {
  const machine = { ...planFixture().machine, id: `<b>&"'</b>` }
  const page = emitNginx(planFixture({ plan: { machine } }), MARKER)[1]?.content.toString() ?? ''
  assert.match(page, '<h1>&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;</h1>')
})

test('the temporary paths are below the directory of the plan, which is all that must exist', () => {
  const plan = planFixture({ root: temporaryDirectory() })
  assert.is(complaints(plan), '')
  const text = conf(plan)
  for (const name of ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) {
    assert.match(text, `${name}_temp_path "${plan.proxy?.temporaryDirectory}/${name}";`)
  }
  mkdirSync(join(plan.proxy?.temporaryDirectory ?? '', 'client_body'), { recursive: true })
})

test.run()
