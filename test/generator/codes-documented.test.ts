import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DIAGNOSTIC_CODES } from '../../generator/diagnostics/codes.ts'

const page = readFileSync('docs/troubleshooting.md', 'utf8')

/** Headings that look like a code: other sections are sentences. */
const documented = [...page.matchAll(/^### ([A-Z0-9_]+)$/gm)].map(([, code = '']) => code)

const sources = ['generator', 'schema'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('generated') && !file.endsWith('diagnostics/codes.ts'))
    .map((file) => readFileSync(`${folder}/${file}`, 'utf8')),
)

test('every code has one section in docs/troubleshooting.md', () => {
  for (const code of DIAGNOSTIC_CODES) {
    assert.is(documented.filter((heading) => heading === code).length, 1, `sections of ${code}`)
  }
})

test('every section that names a code names one that exists, with a text below it', () => {
  const known = new Set<string>(DIAGNOSTIC_CODES)
  for (const code of documented) {
    assert.ok(known.has(code), `${code} does not exist`)
    const [, text = ''] = page.split(`### ${code}\n`)
    assert.ok((text.split('\n#')[0] ?? '').trim().length > 80, `${code} is not explained`)
  }
})

test('every code is used', () => {
  const unused = DIAGNOSTIC_CODES.filter((code) => !sources.some((text) => text.includes(`'${code}'`)))
  assert.equal(unused, [])
})

test.run()
