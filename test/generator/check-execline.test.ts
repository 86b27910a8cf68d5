import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseExecline } from '../../generator/check/execline.ts'

const words = (text: string) => parseExecline(text).words.map(({ value }) => value)
const fault = (text: string) => {
  const { fault: found } = parseExecline(text)
  return found === undefined ? undefined : [found.reason, found.offset]
}

test('only double quotes and backslashes quote', () => {
  assert.equal(words(`echo 'a b' "c d"e \\{ f\\ g`), ['echo', "'a", "b'", 'c de', '{', 'f g'])
  assert.equal(words('"a\\"b" "c\\\nd" e\\\nf \\\ng'), ['a"b', 'cd', 'e\nf', 'g'])
})

test('a comment begins only where a word could', () => {
  assert.equal(words('# one\na#b # two\nc'), ['a#b', 'c'])
})

test('braces are blocks only as whole words', () => {
  assert.equal(
    parseExecline('if { a } {b} c{').words.map(({ value, depth }) => [value, depth]),
    [
      ['if', 0],
      ['a', 1],
      ['{b}', 0],
      ['c{', 0],
    ],
  )
})

test('control characters separate words, and a NUL ends the script', () => {
  assert.equal(words('a\r\nb\u0001c\0 "'), ['a', 'b', 'c'])
})

test('what execlineb refuses is a fault with its place', () => {
  assert.equal(fault('a { b'), ['unmatched {', 2])
  assert.equal(fault('a {'), ['unmatched {', 2])
  assert.equal(fault('a }'), ['unmatched }', 2])
  assert.equal(fault('a "b'), ['unclosed quote', 2])
  assert.equal(fault('a\\'), ['unfinished escape', 1])
  assert.equal(fault('"\\08"'), ['bad escape', 1])
  assert.equal(fault('"\\0x0"'), ['bad escape', 1])
  assert.equal(fault('"\\999"'), ['bad escape', 1])
  assert.is(fault('"\\65 \\0101 \\0x41 \\q"'), undefined)
})

test('a hostile script costs no more than its length', () => {
  const startedMs = performance.now()
  for (const part of ['{ ', '"\\65', '\\', 'a#', '} ', '"']) parseExecline(part.repeat(200_000))
  assert.ok(performance.now() - startedMs < 5000)
})

test.run()
