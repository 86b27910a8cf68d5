import { type LogLevel, levelOfName } from './log-level.ts'

/** A level stands near the start; further in, its words are part of the message. */
const LOOK_AT = 160

const TIME =
  /^(?:\[|\()?(?:\d{4}[-/]\d\d[-/]\d\d(?:[T ]|, | - ))?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d| UTC)?[\])]?[\s:|-]*/

const LEVEL_NAMES =
  'trace|debug|verbose|info|notice|success|warn|warning|error|err|severe|critical|crit|alert|emerg|fatal|panic'
const UPPER_NAMES = LEVEL_NAMES.toUpperCase()

type Reading = (text: string, hasTime: boolean) => LogLevel | null

/** The first that finds a level is right. Each names who writes so. */
const READINGS: readonly Reading[] = [
  // nginx `[error]`, `[INFO]`, loguru `| ERROR    |`, `<warning>`, `(info)`.
  named(new RegExp(`^[^"'{]{0,80}?[[<(|]\\s*(${LEVEL_NAMES})\\s*[\\])>|]`, 'i')),
  // `INFO:root:`, uvicorn `INFO:     `, `Error: `, `warning: `.
  named(new RegExp(`^(${LEVEL_NAMES})(?:\\[\\d+\\])?:`, 'i')),
  // `ERROR something`, rust's `2026-… WARN target: `.
  named(new RegExp(`^(${UPPER_NAMES})(?=[\\s|])`)),
  // python's `name - WARNING - `, `root:12 INFO `, only where a time came before.
  (text, hasTime) => (hasTime ? nameIn(new RegExp(`^.{0,60}?[\\s-](${UPPER_NAMES})[\\s:-]`), text) : null),
  // postgres `[12] ERROR:  `, programs as in `s6-log: fatal: `, `cc1: error: `.
  named(/^(?:[\w./-]{1,40}(?: \([^)]{1,40}\))?|.{0,40}\]): (fatal|error|warning|info|debug|notice|alert|emerg): /i),
  named(/\] (ERROR|FATAL|PANIC|WARNING|LOG|NOTICE):/),
  named(/^npm (ERR|error|WARN|warn)/),
  glogLevel,
  ginLevel,
  redisLevel,
  languageWarning,
  fault,
]

function named(pattern: RegExp): Reading {
  return (text) => nameIn(pattern, text)
}

function nameIn(pattern: RegExp, text: string): LogLevel | null {
  const name = pattern.exec(text)?.[1]
  return name === undefined ? null : levelOfName(name)
}

/** `I0131 12:00:00.123456   123 file.cc:12] ` (glog, klog, TensorFlow). */
function glogLevel(text: string): LogLevel | null {
  const letter = /^([IWEF])\d{4} \d\d:\d\d:\d\d/.exec(text)?.[1]
  return letter === undefined ? null : letter === 'I' ? 'info' : letter === 'W' ? 'warn' : 'error'
}

/** `[GIN] 2026/01/31 - 12:00:00 | 500 |  1.2ms | 127.0.0.1 | POST "/api/generate"` (Ollama). */
function ginLevel(text: string): LogLevel | null {
  const status = /^\[GIN\] [^|]*\|\s*(\d{3})\s*\|/.exec(text)?.[1]
  return status === undefined ? null : levelOfStatus(Number(status))
}

/** `12:M 31 Jan 2026 12:00:00.123 # Warning`. */
function redisLevel(text: string): LogLevel | null {
  const mark = /^\d+:[XCSM] \d\d \w{3} \d{4} [\d:.]+ ([.*#-]) /.exec(text)?.[1]
  return mark === undefined ? null : mark === '#' ? 'warn' : mark === '.' ? 'debug' : 'info'
}

/** python's `/path/file.py:12: FutureWarning: …`, node's `(node:12) DeprecationWarning: …`. */
function languageWarning(text: string): LogLevel | null {
  return /^(?:\S+:\d+: |\(node:\d+\) )?(?:\[\w+\] )?[A-Z]?\w*Warning: /.test(text) ? 'warn' : null
}

const EXCEPTION = /^(?:Uncaught )?(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Fault)\b(?:$|[:[(]| \[)/

const FAULT =
  /^(?:\*\*\* Error |cannot |\S+: cannot |!!! Exception|panic: |Segmentation fault|Aborted|Killed$|Fatal |Unhandled |Uncaught |Exception in |Cannot import |\/.*Assertion .* failed)|CUDA error|CUDA out of memory|HIP error|core dumped|IMPORT FAILED|Xid \(/

/** The part of a program that speaks: `[worker] cannot …`. */
const TAG = /^(?:\[[\w. -]{1,40}\]:? )+/

function fault(text: string): LogLevel | null {
  const said = text.replace(TAG, '')
  return EXCEPTION.test(said) || FAULT.test(said) ? 'error' : null
}

/** What the status of an answer says of the service that gave it. */
export function levelOfStatus(status: number): LogLevel {
  return status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info'
}

/** The level that a line of text says it has; `null` where it does not. */
export function levelOfText(text: string): LogLevel | null {
  const start = text.length > LOOK_AT ? text.slice(0, LOOK_AT) : text
  const time = TIME.exec(start)
  const rest = (time === null ? start : start.slice(time[0].length)).trimStart()
  for (const reading of READINGS) {
    const level = reading(rest, time !== null)
    if (level !== null) return level
  }
  return null
}
