import type { Compilation } from '../compilation.ts'
import { doubt, type Finding, inText, mistake } from '../finding.ts'
import { type Program, programOf } from '../program.ts'
import { readNumber } from '../service-files.ts'
import { fileAt } from '../source-tree.ts'

/** s6-supervise kills a finish script after this, unless `timeout-finish` says otherwise. */
const FINISH_LIMIT_MS = 5000

interface Daemon {
  /** Says that the daemon stays in the foreground; looked for in the whole script. */
  readonly foreground: RegExp
  /** A configuration file, which may say so too. */
  readonly elsewhere?: RegExp
  readonly advice: string
}

/** Programs that leave the supervisor by default, and what keeps them. */
const DAEMONS: Record<string, Daemon> = {
  nginx: { foreground: /daemon\s+off|\s-[tTvVhs]\b/, elsewhere: /\s-[cp]\b/, advice: `nginx -g "daemon off;"` },
  sshd: { foreground: /\s-[a-zA-Z]*[DdtT]/, advice: 'sshd -D -e' },
  crond: { foreground: /\s-[a-zA-Z]*[fn]|--foreground/, advice: 'crond -f' },
  cron: { foreground: /\s-[a-zA-Z]*f/, advice: 'cron -f' },
  'php-fpm': { foreground: /\s-F|--nodaemonize/, elsewhere: /\s-y\b/, advice: 'php-fpm -F' },
  vsftpd: { foreground: /background=NO/i, elsewhere: /\.conf/, advice: 'vsftpd -obackground=NO' },
  rsyslogd: { foreground: /\s-[a-zA-Z]*n/, advice: 'rsyslogd -n' },
}

/** Daemons that put themselves into the background: the supervisor sees them die and starts them again and again. */
export function* backgroundRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    const run = kind === 'longrun' ? fileAt(directory, 'run') : undefined
    if (run === undefined) continue
    const program = programOf(run)
    for (const [daemon, { foreground, elsewhere, advice }] of Object.entries(DAEMONS)) {
      const call = program.calls(daemon)
      if (call === undefined || foreground.test(program.text) || elsewhere?.test(program.text)) continue
      const place = inText(run, program.words[call]!.start, program.words[call]!.end)
      const message = `cannot supervise "${name}": ${daemon} goes into the background by default`
      yield doubt('S6_BACKGROUNDS', place, message, { hint: `run "${advice}"` })
    }
    const ampersand = trailingAmpersand(program)
    if (ampersand === undefined) continue
    const message = `cannot supervise "${name}": its last command is put into the background, and "run" ends`
    yield mistake('S6_BACKGROUNDS', inText(run, ampersand, ampersand + 1), message, {
      hint: 'remove the "&" and begin the command with "exec"',
    })
  }
}

/** The `&` a shell script ends with. */
function trailingAmpersand({ language, text }: Program): number | undefined {
  if (language !== 'shell') return undefined
  const code = text.replace(/(?:\n[ \t]*(?:#[^\n]*)?)+$/, '').trimEnd()
  return /[^&>|]&$/.test(code) ? code.length - 1 : undefined
}

/** A `finish` that takes its time: the service stays down, signals do not reach it, and after the limit it is killed. */
export function* finishRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    const finish = kind === 'longrun' ? fileAt(directory, 'finish') : undefined
    if (finish === undefined) continue
    const program = programOf(finish)
    const slow = slowWord(program)
    if (slow === undefined) continue
    const timeout = fileAt(directory, 'timeout-finish')
    const limitMs = (timeout === undefined ? undefined : readNumber(timeout)) ?? FINISH_LIMIT_MS
    const limit = limitMs === 0 ? 'a stop waits for it without limit' : `s6-supervise kills it after ${limitMs} ms`
    const place = inText(finish, slow.start, slow.end)
    const message = `cannot let "finish" of "${name}" ${slow.what}: until it ends the service can be neither started nor stopped, and ${limit}`
    yield doubt('S6_SLOW_FINISH', place, message, { hint: 'wait at the start of "run": there a stop ends it at once' })
  }
}

function slowWord(program: Program): { start: number; end: number; what: string } | undefined {
  for (const [index, word] of program.words.entries()) {
    const name = word.value.slice(word.value.lastIndexOf('/') + 1)
    const isLoop = program.language === 'shell' ? word.first && /^(?:while|until)$/.test(name) : name === 'loopwhilex'
    if (isLoop) return { start: word.start, end: word.end, what: 'loop' }
    if (name !== 'sleep' && name !== 's6-sleep') continue
    const next = program.words[index + 1]
    if (next === undefined || next.first || isShort(name, next.value)) continue
    return { start: word.start, end: next.end, what: 'sleep' }
  }
  return undefined
}

/** Less than a second: `sleep 0.2`. */
function isShort(program: string, amount: string): boolean {
  return /^[0-9.]+$/.test(amount) && Number(amount) < 1 && program === 'sleep'
}
