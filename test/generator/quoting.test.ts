import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'uvu'
import { parse } from 'yaml'
import { envdirFile } from '../../generator/emit/quote/envdir.ts'
import { execlineWord } from '../../generator/emit/quote/execline.ts'
import { shellCommand, shellWord } from '../../generator/emit/quote/shell.ts'
import { yamlString } from '../../generator/emit/quote/yaml.ts'
import { freeText } from '../fixtures/machine-arbitrary.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** Many texts go through one process: a process for each would cost minutes. */
const texts = fc.array(freeText, { minLength: 1, maxLength: 40 })
const RUNS = { numRuns: 60 }

/** Prints its arguments, each followed by a NUL. */
const PRINT = ['node', '-e', 'for (const a of process.argv.slice(1)) process.stdout.write(a + "\\0")', '--']
const printed = (output: Buffer): string[] => output.toString().split('\0').slice(0, -1)

test('any text is one word of a shell, as it went in', () => {
  fc.assert(
    fc.property(texts, (words) => {
      const script = `printf '%s\\0' ${words.map(shellWord).join(' ')}\n`
      assert.deepEqual(printed(execFileSync('/bin/sh', ['-c', script])), words)
    }),
    RUNS,
  )
})

test('a command whose first word looks like an assignment is run, not assigned', () => {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'A=b'), '#!/bin/sh\nprintf ran\n', { mode: 0o755 })
  const output = execFileSync('/bin/sh', ['-c', `PATH="${directory}:$PATH"; ${shellCommand(['A=b'])}`])
  assert.equal(output.toString(), 'ran')
})

test('any text is one word of execline, as it went in', () => {
  fc.assert(
    fc.property(texts, (words) => {
      const directory = temporaryDirectory()
      const script = join(directory, 'script')
      writeFileSync(script, `${[...PRINT, ...words].map(execlineWord).join(' ')}\n`)
      assert.deepEqual(printed(execFileSync('execlineb', ['-P', script])), words)
    }),
    { numRuns: 25 },
  )
})

test('any text comes out of s6-envdir as it went in, the empty one too', () => {
  const directory = join(temporaryDirectory(), 'env')
  fc.assert(
    fc.property(texts, (values) => {
      rmSync(directory, { recursive: true, force: true })
      mkdirSync(directory)
      for (const [index, value] of values.entries()) {
        writeFileSync(join(directory, `V${index}`), envdirFile(value))
      }
      const print = 'process.stdout.write(JSON.stringify(process.env))'
      const output = execFileSync('s6-envdir', ['-fL', directory, 'node', '-e', print], {
        env: { PATH: process.env.PATH },
      })
      const environment = JSON.parse(output.toString())
      const seen = values.map((_, index) => environment[`V${index}`])
      assert.deepEqual(seen, values)
    }),
    { numRuns: 25 },
  )
})

test('any text is one YAML scalar for every reader, as it went in', () => {
  fc.assert(
    fc.property(texts, (values) => {
      const document = `values:\n${values.map((value) => `  - ${yamlString(value)}\n`).join('')}`
      assert.deepEqual(parse(document).values, values)
    }),
    { numRuns: 200 },
  )
})

test('what no program can be given is refused by every quoting function', () => {
  for (const quote of [shellWord, execlineWord, envdirFile, yamlString]) {
    assert.throws(() => quote('a\0b'), /NUL/)
    assert.throws(() => quote('a\ud800b'), /surrogate/)
  }
})

test.run()
