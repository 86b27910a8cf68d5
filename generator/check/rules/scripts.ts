import type { Compilation, OwnService } from '../compilation.ts'
import { doubt, type Finding, inText, mistake, wholeOf } from '../finding.ts'
import { baseName, type Program, programOf, type Shebang } from '../program.ts'
import { type FileEntry, fileAt, textOf } from '../source-tree.ts'

/** Paths that only s6-overlay's optional symlink tarballs, or its version 2, provide. */
const MOVED = /^\/(?:usr\/)?bin\/(with-contenv|execlineb|justc-envdir|s6-\S+)$/

/** `run` and `finish` can be executed: the kernel finds their interpreter. */
export function* scriptRules({ services, profile }: Compilation): Iterable<Finding> {
  for (const service of services) {
    if (service.kind !== 'longrun') continue
    for (const name of ['run', 'finish']) {
      const file = fileAt(service.directory, name)
      if (file === undefined) continue
      const program = programOf(file)
      if (program.language === 'binary') continue
      yield* lineEndingRule(service, file, program)
      if (program.shebang === undefined) yield noShebang(service, file)
      else yield* shebangRules(service, file, program.shebang, profile !== undefined)
      yield* scriptSyntaxRule(service, file, program)
    }
  }
}

function* lineEndingRule({ name }: OwnService, file: FileEntry, { text }: Program): Iterable<Finding> {
  const script = baseName(file.path)
  if (text.startsWith('\uFEFF')) {
    const message = `cannot run "${script}" of "${name}": a byte order mark precedes "#!", so that the kernel finds no interpreter`
    yield mistake('S6_LINE_ENDINGS', inText(file, 0, 1), message, { hint: 'save the file as UTF-8 without BOM' })
  }
  const carriage = text.indexOf('\r\n')
  if (carriage === -1) return
  const isFirst = !text.slice(0, carriage).includes('\n')
  // A quoted argument may have one on purpose; a file that was saved with CRLF has it at most of its line ends.
  if (!isFirst && text.split('\r\n').length * 2 < text.split('\n').length) return
  const why = isFirst ? 'the kernel looks for an interpreter whose name ends in it' : 'it becomes part of commands'
  const message = `cannot run "${script}" of "${name}": a line ends in a carriage return (CRLF), and ${why}`
  const hint = 'use LF line ends, and "*.sh text eol=lf" or "* -text" in .gitattributes'
  yield mistake('S6_LINE_ENDINGS', inText(file, carriage, carriage + 1), message, { hint })
}

function noShebang({ name }: OwnService, file: FileEntry): Finding {
  const message = `cannot run "${baseName(file.path)}" of "${name}": its first line is no "#!"`
  const firstLine = textOf(file).split('\n', 1)[0]!.length
  return mistake('S6_BAD_SHEBANG', inText(file, 0, firstLine), message, {
    hint: 'begin it with "#!/bin/sh" or "#!/command/execlineb -P"; nothing may stand before',
  })
}

function* shebangRules(service: OwnService, file: FileEntry, shebang: Shebang, overlay: boolean): Iterable<Finding> {
  const { interpreter, argument, end } = shebang
  const place = inText(file, 0, end)
  const start = `cannot run "${baseName(file.path)}" of "${service.name}": `
  if (!interpreter.startsWith('/')) {
    const message = `${start}interpreter ${JSON.stringify(interpreter)} is no absolute path`
    yield mistake('S6_BAD_SHEBANG', place, message, { hint: 'for example "#!/bin/sh"' })
    return
  }
  const moved = MOVED.exec(interpreter)
  if (moved !== null && overlay) {
    const message = `cannot rely on "${interpreter}" in "${file.path}": s6-overlay 3 has it there only with its symlink tarballs`
    yield doubt('S6_BAD_SHEBANG', place, message, { hint: `write "/command/${moved[1]}"` })
  }
  const words = argument === '' ? [] : argument.split(/\s+/)
  const splits = baseName(interpreter) === 'env' && /^(?:-[a-zA-Z]*S|--split-string)/.test(words[0] ?? '')
  if (words.length < 2 || splits) return
  const message = `${start}Linux hands "${argument}" to "${interpreter}" as one argument`
  const hint =
    baseName(interpreter) === 'with-contenv'
      ? `write "#!${interpreter} ${words[0]}", and options on a line of their own ("set -e")`
      : 'keep one argument after the interpreter'
  yield mistake('S6_BAD_SHEBANG', place, message, { hint })
}

/** s6-rc-compile does not look into `run`: execlineb will, at every start. */
function* scriptSyntaxRule({ name }: OwnService, file: FileEntry, program: Program): Iterable<Finding> {
  const fault = file.truncated ? undefined : program.execline?.fault
  if (fault === undefined) return
  const end = Math.min(program.text.length, fault.offset + 1)
  const message = `cannot parse "${baseName(file.path)}" of "${name}" as execline: ${fault.reason}`
  yield mistake('S6_BAD_EXECLINE', inText(file, fault.offset, end), message)
}

/** A producer whose errors do not reach its logger. */
export function* stderrRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory, producerFor } of services) {
    const run = kind === 'longrun' && producerFor?.[0] !== undefined ? fileAt(directory, 'run') : undefined
    if (run === undefined) continue
    const program = programOf(run)
    if (program.language !== 'shell' && program.language !== 'execline') continue
    if (redirectsStderr(program)) continue
    const fix = program.language === 'shell' ? '"exec 2>&1"' : '"fdmove -c 2 1"'
    const message = `cannot log the errors of "${name}": only stdout is piped into "${producerFor![0]!.name}"`
    yield doubt('S6_STDERR_LOST', wholeOf(run), message, { hint: `begin "run" with ${fix}` })
  }
}

function redirectsStderr({ text, words, calls }: Program): boolean {
  const move = calls('fdmove') ?? calls('redirfd')
  const moves = move !== undefined && words.slice(move + 1, move + 4).some((word) => word.value === '2')
  return moves || /2>|&>|>&|\|&/.test(text)
}
