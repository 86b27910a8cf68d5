export const REDACTED = '[redacted]'

export interface Redactor {
  /** The text without the values of known secrets, and without what looks like a credential. */
  readonly redact: (text: string) => string
  /** Only values of known secrets: for what others wrote, where a guess could spoil a line. */
  readonly redactKnown: (text: string) => string
  readonly register: (values: Iterable<string>) => void
}

/** A shorter value stands in too many innocent words, and hides nothing. */
const MIN_SECRET_LENGTH = 6
/** The lines of a key are printed one by one. */
const MIN_SECRET_LINE_LENGTH = 16

/** Hides the values it is told of, in the spellings in which they get into logs. */
export function createRedactor(values: Iterable<string> = []): Redactor {
  const known = new Set<string>()
  let pattern: RegExp | null = null

  const register = (added: Iterable<string>) => {
    for (const value of added) for (const spelling of spellings(value)) known.add(spelling)
    const longestFirst = [...known].sort((a, b) => b.length - a.length)
    pattern = longestFirst.length === 0 ? null : new RegExp(longestFirst.map(quote).join('|'), 'g')
  }
  const redactKnown = (text: string) => (pattern === null ? text : text.replace(pattern, REDACTED))
  register(values)
  return { redact: (text) => hideCredentials(redactKnown(text)), redactKnown, register }
}

function spellings(value: string): string[] {
  const text = value.trim()
  const parts = [text, ...credentialsOf(text), ...linesOf(text)]
  return parts
    .filter((part) => part.length >= MIN_SECRET_LENGTH)
    .flatMap((part) => [part, encodeURIComponent(part), JSON.stringify(part).slice(1, -1)])
}

/** A URL is secret for the password in it, which a program may well print by itself. */
function credentialsOf(text: string): string[] {
  const encoded = /^[a-z][\w+.-]*:\/\/[^/@:\s]*:([^/@\s]+)@/i.exec(text)?.[1]
  if (encoded === undefined) return []
  try {
    return [encoded, decodeURIComponent(encoded)]
  } catch {
    return [encoded]
  }
}

function linesOf(text: string): string[] {
  if (!text.includes('\n')) return []
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter((line) => line.length >= MIN_SECRET_LINE_LENGTH && !line.startsWith('-----'))
}

function quote(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** `redis://user:password@host`: the user stays. */
const URL_PASSWORD = /\b([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/@:"'\\]*):[^\s/@"'\\]+@/gi
/** `https://token@github.com`. */
const URL_TOKEN = /\b(https?:\/\/)[\w.~%-]{16,}@/gi
const HTTP_CREDENTIAL = /\b(Bearer|Basic)(\s+)[\w.~+/-]{6,}=*/gi
const NAME = '\\b((?:[\\w-]*[_-])?(?:password|passwd|secret|token|api[_-]?key|authtoken)'
const NO_SECRET = '(?!\\d+\\b|\\[redacted\\]|null\\b|true\\b|false\\b)'
const VALUE = '[^\\s"\'\\\\,;&}\\])]{4,}'
/** `token=…`, `"password":"…"`; a number is a count, not a token. */
const ASSIGNED = new RegExp(`${NAME}(?:\\s?=\\s?\\\\?["']?|\\\\?["']\\s?:\\s?\\\\?["']))${NO_SECRET}${VALUE}`, 'gi')
/** `HF_TOKEN: …`; in a sentence a colon is followed by words too. */
const TOLD = new RegExp(`${NAME}:\\s?)${NO_SECRET}(?=\\S*\\d|\\S{16})${VALUE}`, 'gi')

/** The text without passwords in URLs, HTTP credentials, and values of fields that are named like a secret. */
export function hideCredentials(text: string): string {
  return text
    .replace(URL_PASSWORD, `$1:${REDACTED}@`)
    .replace(URL_TOKEN, `$1${REDACTED}@`)
    .replace(HTTP_CREDENTIAL, `$1$2${REDACTED}`)
    .replace(ASSIGNED, `$1${REDACTED}`)
    .replace(TOLD, `$1${REDACTED}`)
}
