import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nearest } from '../../schema/nearest.ts'

const SERVICES = ['nginx', 'comfyui', 'automatic1111', 'redisWorker', 'ollama']

test('the likely word is found, whatever its case and separators', () => {
  const cases: [string, string | undefined][] = [
    ['ngnix', 'nginx'],
    ['comfui', 'comfyui'],
    ['ComfyUI', 'comfyui'],
    ['comfy-ui', 'comfyui'],
    ['redis-worker', 'redisWorker'],
    ['redis_workers', 'redisWorker'],
    ['automatic111', 'automatic1111'],
    ['olama', 'ollama'],
    ['postgres', undefined],
    ['my-api', undefined],
    ['', undefined],
  ]
  for (const [word, found] of cases) assert.is(nearest(word, SERVICES), found, word)
})

test('short words need to be nearly right', () => {
  assert.is(nearest('prot', ['port', 'path']), 'port')
  assert.is(nearest('xyz', ['port', 'env']), undefined)
  assert.is(nearest('id', ['gpu', 'id']), 'id')
  assert.is(nearest('ip', ['id', 'gpu']), undefined)
})

test('of equally near words the first is taken', () => {
  assert.is(nearest('cat', ['bat', 'hat']), 'bat')
})

test('long words are left alone', () => {
  assert.is(nearest('x'.repeat(1_000_000), ['x'.repeat(1_000_000)]), undefined)
})

test('any word with one typing mistake is found again', () => {
  const word = fc.stringMatching(/^[a-z]{5,20}$/)
  fc.assert(
    fc.property(word, fc.nat(), fc.constantFrom('drop', 'double', 'swap', 'change'), (right, position, mistake) => {
      const at = position % (right.length - 1)
      const [before, a, b, after] = [right.slice(0, at), right[at], right[at + 1], right.slice(at + 2)]
      const middle = { drop: b, double: `${a}${a}${b}`, swap: `${b}${a}`, change: `q${b}` }[mistake]
      assert.is(nearest(`${before}${middle}${after}`, ['zz', right]), right)
    }),
    { includeErrorInReport: true },
  )
})

test.run()
