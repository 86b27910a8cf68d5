import type { Compilation } from '../compilation.ts'
import type { ExeclineWord } from '../execline.ts'
import { doubt, type Finding, inText, mistake, rejection } from '../finding.ts'
import { baseName, type Program, programOf, readShebang } from '../program.ts'
import { type FileEntry, fileAt } from '../source-tree.ts'

const SCRIPTS = ['up', 'down', 'reload']
/** Words that only a shell understands. As arguments of an execline program they are next to unheard of. */
const OPERATOR = /^(?:&&|\|\|?|;|&|[0-9]*>>?|[0-9]*<|[0-9]*>&[0-9-]|&>.*|[0-9]*>>?[/.&].*)$|.;$/
const EXPANSION = /^[^$]*\$\(|^`/
const KEYWORD = /^(?:set|source|\.|eval|local|function|alias|ulimit|then|fi|do|done|esac|elif)$/
const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/
const VARIABLE = /\$(?:[A-Za-z_]|\{)/
/** Programs that put values in the place of `$NAME` in what follows. */
const SUBSTITUTES =
  /^(?:import|importas|define|multidefine|multisubstitute|backtick|elgetpositionals|elgetopt|forx|forstdin|forbacktickx|getpid|getcwd|homeof|dollarat|runblock|execlineb|withstdinas|eltest)$/
/** Programs that end by becoming the program after them: a line of them rightly goes on in the next. */
const CHAINS =
  /^(?:s6-(?!echo$|touch$|mkdir$|rmdir$|chown$|chmod$|ln$|true$|sleep$|svc$|rc$).*|with-contenv|with-retries|foreground|background|if|ifelse|ifte|ifthenelse|backtick|define|multidefine|multisubstitute|import|importas|export|unexport|cd|umask|exec|redirfd|fdmove|fdclose|fdblock|fdreserve|fdswap|pipeline|piperw|heredoc|homeof|emptyenv|envfile|elgetopt|elgetpositionals|getcwd|getpid|loopwhilex|forx|forstdin|forbacktickx|shift|runblock|trap|tryexec|wait|withstdinas|posix-cd|posix-umask|case|execlineb|env|nice|ionice|nohup|chroot|setpriv|su-exec|gosu|timeout|unshare|stdbuf|taskset|numactl|sudo|setsid|flock|chpst)$/

/** The command lines of a oneshot: execline, one command, no shebang. */
export function* oneshotRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    if (kind !== 'oneshot') continue
    for (const script of SCRIPTS) {
      const file = fileAt(directory, script)
      if (file === undefined || file.truncated) continue
      const program = programOf(file)
      yield* syntaxRule(name, file, program)
      yield* shellRules(name, file, program)
    }
  }
}

function* syntaxRule(service: string, file: FileEntry, { execline, text }: Program): Iterable<Finding> {
  const fault = execline?.fault
  if (fault === undefined) return
  const end = Math.min(text.length, fault.offset + 1)
  const message = `cannot parse "${baseName(file.path)}" of "${service}" as execline: ${fault.reason}`
  const hint = 'only double quotes quote, and a brace that is a whole word opens or closes a block'
  yield rejection('S6_BAD_EXECLINE', inText(file, fault.offset, end), message, { hint })
}

function* shellRules(service: string, file: FileEntry, program: Program): Iterable<Finding> {
  const script = baseName(file.path)
  const start = `cannot run "${script}" of "${service}" by a shell: `
  const hint = `put the script into a file of its own, with a shebang and mode 755, and only its path into "${script}"`
  const shebang = readShebang(program.text)
  if (shebang !== undefined) {
    const isExecline = [shebang.interpreter, ...shebang.argument.split(/\s+/)].map(baseName).includes('execlineb')
    const message = `${start}its "#!" line is a comment, the rest is one execline command line`
    yield (isExecline ? doubt : mistake)('S6_SHELL_IN_ONESHOT', inText(file, 0, shebang.end), message, {
      hint: isExecline ? 'remove the line' : hint,
    })
  }
  const words = program.execline?.words ?? []
  const found = shellWord(words, program.text)
  if (found !== undefined) {
    const message = `${start}${JSON.stringify(program.text.slice(found.start, found.end))} is an ordinary argument in execline`
    yield mistake('S6_SHELL_IN_ONESHOT', inText(file, found.start, found.end), message, { hint })
    return
  }
  yield* softSigns(service, file, program, words, hint)
}

function shellWord(words: readonly ExeclineWord[], text: string): ExeclineWord | undefined {
  return words.find((word, index) => {
    if (!word.bare) return false
    if (OPERATOR.test(word.value) || EXPANSION.test(word.value)) return true
    return startsLine(words, index, text) && (KEYWORD.test(word.value) || ASSIGNMENT.test(word.value))
  })
}

/** What a shell script looks like, and a right command line only seldom. */
function* softSigns(
  service: string,
  file: FileEntry,
  { text }: Program,
  words: readonly ExeclineWord[],
  hint: string,
): Iterable<Finding> {
  const script = `"${baseName(file.path)}" of "${service}"`
  const lost = words.find((_, index) => isLastOfCommand(words, index, text))
  if (lost !== undefined) {
    const message = `cannot run the lines of ${script} one after the other: they are one command line`
    yield doubt('S6_SHELL_IN_ONESHOT', inText(file, lost.start, lost.end), message, { hint })
  }
  const substitutes = words.some((word) => SUBSTITUTES.test(baseName(word.value)))
  const variable = substitutes
    ? undefined
    : words.find((word) => VARIABLE.test(word.value) && !isShellText(words, word))
  if (variable !== undefined) {
    const message = `cannot expand ${JSON.stringify(variable.value)} in ${script}: execline passes it on as it is`
    yield doubt('S6_SHELL_IN_ONESHOT', inText(file, variable.start, variable.end), message, {
      hint: 'read the variable with "importas NAME NAME" first, or call a script',
    })
  }
  const quote = words.find((word) => word.bare && word.value.startsWith("'"))
  if (quote !== undefined) {
    const message = `cannot quote ${JSON.stringify(quote.value)} in ${script}: to execline "'" is an ordinary character`
    yield doubt('S6_SHELL_IN_ONESHOT', inText(file, quote.start, quote.end), message, { hint: 'use double quotes' })
  }
}

/** Nothing but blanks before it, and no backslash that joins its line to the one above. */
function startsLine(words: readonly ExeclineWord[], index: number, text: string): boolean {
  const before = words[index - 1]
  if (before === undefined) return true
  const gap = text.slice(before.end, words[index]!.start)
  return /\n[ \t]*$/.test(gap) && !gap.includes('\\\n')
}

/** A word that begins a line, is no chain loader, and is followed by another line: that line is lost in its arguments. */
function isLastOfCommand(words: readonly ExeclineWord[], index: number, text: string): boolean {
  const word = words[index]!
  if (!word.bare || word.value.startsWith('-') || CHAINS.test(baseName(word.value))) return false
  if (!startsLine(words, index, text) || (words[index - 1]?.depth ?? word.depth) !== word.depth) return false
  const next = words.findIndex((_, at) => at > index && startsLine(words, at, text))
  return next !== -1 && words.slice(index, next + 1).every((other) => other.depth === word.depth)
}

/** The text that `sh -c` takes, and what follows it. */
function isShellText(words: readonly ExeclineWord[], word: ExeclineWord): boolean {
  const flag = words.findIndex(
    (other, index) =>
      /^-[a-z]*c$/.test(other.value) && /^(?:ba|da|a|k|z)?sh$/.test(baseName(words[index - 1]?.value ?? '')),
  )
  return flag !== -1 && words.indexOf(word) > flag
}

/** Scripts in the profile that oneshots call: they exist and may be executed. */
export function* calledScriptRules({ services, profile }: Compilation): Iterable<Finding> {
  if (profile === undefined) return
  for (const { name, kind, directory } of services) {
    if (kind !== 'oneshot') continue
    for (const script of SCRIPTS) {
      const file = fileAt(directory, script)
      const command = file === undefined ? undefined : programOf(file).words[0]
      const path = command?.value.startsWith(PROFILE_PATH) ? command.value.slice(PROFILE_PATH.length) : undefined
      if (file === undefined || command === undefined || path === undefined) continue
      const place = inText(file, command.start, command.end)
      const called = fileAt(profile.directory, path)
      const start = `cannot run ${JSON.stringify(command.value)} in "${script}" of "${name}": `
      if (called === undefined) yield doubt('S6_NOT_EXECUTABLE', place, `${start}no such file here`)
      else if ((called.mode & 0o111) === 0) {
        yield mistake('S6_NOT_EXECUTABLE', place, `${start}it may not be executed`, { hint: 'chmod 755 it' })
      }
    }
  }
}

const PROFILE_PATH = '/etc/s6-overlay/'
