import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listNodes, parseNodeList } from '../../runtime/provision/custom-nodes/node-list.ts'
import { readCustomNode } from '../../schema/custom-node.ts'
import { readGitUrl } from '../../schema/git-url.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const LIST = 'test/fixtures/config_nodes.json'

test('a list of 64 nodes in the format of the original machines is read whole', () => {
  const { nodes, problems } = parseNodeList(readFileSync(LIST, 'utf8'), LIST)
  assert.equal(problems, [])
  assert.is(nodes.length, 64)
  const count = (has: (node: (typeof nodes)[number]) => boolean) => nodes.filter(has).length
  assert.equal(
    {
      branch: count(({ branch }) => branch === 'main'),
      commit: count(({ commit }) => commit !== null),
      recursive: count(({ recursive }) => recursive),
      requirements: count(({ requirements }) => requirements),
      env: count(({ environment }) => environment.HF_TOKEN === '${HF_TOKEN}'),
      script: count(({ customScript }) => customScript !== null),
    },
    { branch: 13, commit: 9, recursive: 11, requirements: 43, env: 3, script: 1 },
  )
  assert.is(nodes[17]!.url, `https://github.com/example-8/${nodes[17]!.name}`, 'without "git clone "')
})

test('lists without a head, maps by name, and lists that people mistyped', () => {
  const url = 'https://example.com/a/Node.git'
  const names = (value: unknown) => parseNodeList(JSON.stringify(value), 'f').nodes.map(({ name }) => name)
  assert.equal(names([{ url }]), ['Node'])
  assert.equal(names({ mine: { url }, other: { url, name: 'own' } }), ['mine', 'own'])
  assert.equal(names({ custom_nodes: { mine: { url } } }), ['mine'])
  assert.match(parseNodeList('{"custom_nodes": 3}', 'f').problems[0]!, /has no list "custom_nodes"/)
  assert.match(parseNodeList('{', 'f').problems[0]!, /cannot read the list/)
  assert.match(listNodes({ file: '/no/such/file', nodes: [] }).problems[0]!, /there is no such file/)
})

test('one bad entry spoils no other, and the machine file wins over the list', () => {
  const file = `${temporaryDirectory()}/config_nodes.json`
  const entries = [
    { name: 'one', url: 'https://example.com/one' },
    { name: '../out', url: 'https://example.com/x' },
    { name: 'two' },
    'three',
    { name: 'one', url: 'https://example.com/other' },
    { name: 'four', url: 'https://example.com/four', branch: '--upload-pack=evil' },
    { name: 'five', url: 'ext::sh -c evil' },
    { name: 'six', url: 'https://me:secret@example.com/six' },
    { name: 'seven', url: 'https://example.com/seven', commit: 'HEAD~1' },
    { name: 'eight', url: 'https://example.com/eight', env: { 'A B': 'x' } },
  ]
  writeFileSync(file, JSON.stringify({ custom_nodes: entries }))
  const inPlace = parseNodeList('[{"url": "https://example.com/mine", "name": "one"}]', 'x').nodes
  const { nodes, problems } = listNodes({ file, nodes: inPlace })
  assert.equal(
    nodes.map(({ url }) => url),
    ['https://example.com/mine'],
  )
  assert.is(problems.length, 9)
  assert.match(problems.join('\n'), /custom_nodes\[1\] \("\.\.\/out"\) .* leads out of custom_nodes/)
  assert.not.match(problems.join('\n'), /secret/)
})

test('no name leaves the directory, whatever it is', () => {
  const anyName = fc.oneof(fc.string(), fc.constantFrom('..', '.', '.git', 'a/b', 'a\\b', '-x', '\u0000', 'a\nb'))
  fc.assert(
    fc.property(anyName, (name) => {
      const read = readCustomNode({ name, url: 'https://example.com/default' })
      if ('problem' in read) return
      assert.match(read.node.name, /^[^/\\.-][^/\\\0]*$/)
    }),
  )
})

const URLS: readonly [string, string][] = [
  ['https://github.com/a/b', 'https b'],
  ['git clone https://github.com/a/b.git', 'https b'],
  ['git@github.com:a/b.git', 'ssh b'],
  ['ssh://git@host:22/a/b.git', 'ssh b'],
  ['file:///srv/a%20b.git', 'file a b'],
  ['git://host/a', 'refused'],
  ['ext::sh -c id', 'refused'],
  ['ext::/bin/id', 'refused'],
  ['--upload-pack=x', 'refused'],
  ['ssh://-oProxyCommand=x/a', 'refused'],
  ['-host:path', 'refused'],
  ['/srv/a.git', 'refused'],
  ['https://token@github.com/a/b', 'refused'],
]

for (const [text, expected] of URLS) {
  test(`git URL ${text}: ${expected}`, () => {
    const url = readGitUrl(text)
    assert.is('problem' in url ? 'refused' : `${url.protocol} ${url.name}`, expected)
  })
}

test.run()
