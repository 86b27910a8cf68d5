/**
 * Values as words of an nginx configuration: nothing gets into nginx.conf but through one of these. The rules are those
 * of nginx's tokenizer (ngx_conf_file.c) and of its variable compiler (ngx_http_script.c).
 */
import { refuse } from './refusal.ts'

/** nginx reads a word into a buffer of 4096 bytes and refuses a longer one; the rest is room for quotes. */
const MAX_WORD_BYTES = 4000

/** Nearly every value; looking closer at each would take most of the time of a render. */
const PLAIN = /^[A-Za-z0-9_@+=:,./ ~-]{0,1000}$/

const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Why a value cannot stand in nginx.conf, or `null` where it can: for checks that report before anything is emitted. */
export function nginxRefusal(value: string): string | null {
  if (value.includes('\0')) return 'it has a NUL character'
  if (!value.isWellFormed()) return 'it has half a surrogate pair'
  const bytes = Buffer.byteLength(quoted(value, '${dollar}'))
  return bytes <= MAX_WORD_BYTES ? null : `it takes ${bytes} bytes there, and nginx reads ${MAX_WORD_BYTES} at most`
}

/**
 * A value as one word of a directive that expands variables (`return`, `set`, `root`, `access_log`, `ssl_certificate`,
 * results of a `map`, ...). nginx has no escape for `$`, so it becomes `${dollar}`: nginx.conf defines that variable with
 * `geo`, whose values are the one place where a `$` stands for itself.
 *
 * @throws Error for what `nginxRefusal` refuses.
 */
export function nginxWord(value: string): string {
  return word(value, '${dollar}')
}

/**
 * A value as one word of a directive that expands no variables (`pid`, `listen`, `location`, `server` of an upstream,
 * temporary paths, regular expressions, keys of a `map`, `geo`).
 *
 * @throws Error for what `nginxRefusal` refuses.
 */
export function nginxLiteral(value: string): string {
  return word(value, '$')
}

/** A path for `include`, which takes `*`, `?` and `[` for a pattern, and a pattern that matches nothing for no error. */
export function nginxIncludePath(path: string): string {
  return nginxLiteral(/[*?[]/.test(path) ? path.replace(/[*?[\\]/g, '\\$&') : path)
}

/** The name of an upstream: it stands unquoted inside URLs, so nothing but a plain name passes. */
export function nginxName(name: string): string {
  if (/^[A-Za-z0-9_.-]+$/.test(name)) return name
  return refuse('an nginx name', name, 'it has more than letters, digits, "_", "." and "-"')
}

/** Text of a comment: one line, whatever it was. */
export function nginxComment(text: string): string {
  return text.replace(/[\s\x00-\x1f\x7f-\x9f]+/g, ' ')
}

/** A path as the start of a regular expression; `(?<...>` and the like go behind it. */
export function regexText(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/**
 * The line of the bearer map (`credentialFiles.bearerMap`) that lets a token in. Each byte of it is written as `\xHH`:
 * no character means anything to nginx or to the expression. And it is an expression because nginx compares plain keys
 * of a `map` without regard to case, which would let in what only looks like the token.
 *
 * @throws Error for an empty token, one that no header can carry, and one of more than 990 characters.
 */
export function bearerMapLine(token: string): string {
  if (!/^[\x21-\x7e]{1,990}$/.test(token)) {
    // The message does not repeat the token: it may end up in a log.
    return refuse('a bearer token', '...', 'it needs 1 to 990 characters, visible ASCII ones without spaces')
  }
  const bytes = [...Buffer.from(token)].map((byte) => `\\x${byte.toString(16)}`).join('')
  return `"~^[Bb]earer +${bytes}$" 1;`
}

function word(value: string, dollar: string): string {
  if (PLAIN.test(value)) return `"${value}"`
  const refusal = nginxRefusal(value)
  return refusal === null ? quoted(value, dollar) : refuse('an nginx word', value, refusal)
}

function quoted(value: string, dollar: string): string {
  return `"${value.replace(/["\\\n\r\t$]/g, (character) => ESCAPES[character] ?? dollar)}"`
}
