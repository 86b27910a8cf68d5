import { createHash, randomBytes } from 'node:crypto'

/** A credential file as text, or why there can be none. No refusal holds a credential. */
export type CredentialText = { readonly text: string } | { readonly refusal: string }

/** Hashes that nginx reads: its own `{SSHA}` and `{SHA}`, and what crypt(3) of the C library knows. */
const HASH = /^(\$apr1\$|\$1\$|\$5\$|\$6\$|\$2[aby]\$|\$y\$|\{SSHA\}|\{SHA\})/

const CLEAR_MARK = '{PLAIN}'

/** nginx reads the file in pieces of this size and wants a line in one. */
const MAX_LINE_BYTES = 2000

/**
 * The htpasswd file for a password as the machine file may give it:
 * - one in clear, or after `{PLAIN}`: kept as a salted hash
 * - a hash as htpasswd and openssl write it: taken as it is
 * - `user:hash`: taken as it is, with a user of its own
 * - several lines of those, as the password file of the first machines had; lines after the first must name their user
 */
export function formatHtpasswd(user: string, password: string, salt = () => randomBytes(8)): CredentialText {
  if (password === '') return { text: '' }
  if (user === '' || /[:\s\0]/.test(user)) return { refusal: `"${user}" cannot be the name of a user` }
  const lines = password.split(/\r?\n/).filter((line, index) => index === 0 || (line !== '' && !line.startsWith('#')))
  const entries: string[] = []
  for (const [index, line] of lines.entries()) {
    const entry = formatEntry(line, index === 0 ? user : null, salt)
    if (entry === null) return { refusal: `line ${index + 1} of the password is not "user:hash"` }
    if (entry.includes('\0') || Buffer.byteLength(entry) > MAX_LINE_BYTES) {
      return { refusal: `line ${index + 1} of the password is too long, or has a NUL` }
    }
    entries.push(`${entry}\n`)
  }
  return { text: entries.join('') }
}

function formatEntry(line: string, defaultUser: string | null, salt: () => Buffer): string | null {
  if (defaultUser !== null && HASH.test(line)) return `${defaultUser}:${line}`
  const named = /^([^:\s]+):(.+)$/.exec(line)
  if (named !== null && (defaultUser === null || HASH.test(named[2]!))) {
    return `${named[1]}:${HASH.test(named[2]!) ? named[2] : hashPassword(named[2]!, salt())}`
  }
  return defaultUser === null || line === '' ? null : `${defaultUser}:${hashPassword(line, salt())}`
}

/** `{SSHA}`: the one salted form that nginx computes itself, whatever the C library. */
function hashPassword(password: string, salt: Buffer): string {
  const clear = password.startsWith(CLEAR_MARK) ? password.slice(CLEAR_MARK.length) : password
  const digest = createHash('sha1').update(clear).update(salt).digest()
  return `{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`
}

/** What may stand in a bearer token (RFC 6750, section 2.1). */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

/**
 * The entries of an nginx `map` of the Authorization header that let the token in. A regular expression, since a map
 * compares plain strings without regard to case.
 */
export function formatBearerMap(token: string): CredentialText {
  if (token === '') return { text: '' }
  if (!TOKEN.test(token)) {
    return { refusal: 'a bearer token has letters, digits and - . _ ~ + / only, with = at the end (RFC 6750)' }
  }
  return { text: `"~^(?i:Bearer) +${token.replace(/[.+]/g, '[$&]')}$" 1;\n` }
}
