/** A repository as git knows it. */
export interface GitUrl {
  /** What git is given. */
  readonly url: string
  readonly protocol: 'https' | 'ssh' | 'http' | 'file'
  /** The last part of its path without `.git`: what a clone is called. */
  readonly name: string
}

/**
 * `user@host:path`, which git takes for ssh. With `//` behind the colon it would be a URL, and with a second colon the name
 * of a program that git runs.
 */
const SCP_FORM = /^(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9.-]+):(?!\/\/|:)([^\s\\]+)$/

const PROTOCOLS = ['https', 'ssh', 'http', 'file'] as const

/**
 * Reads the URL of a repository, or says why it is none that may be used. Lists of the original machines have a
 * `git clone ` before some. The reason shows no credential.
 */
export function readGitUrl(text: string): GitUrl | { readonly problem: string } {
  const url = text.trim().replace(/^git\s+clone\s+/i, '')
  if (url === '' || url.startsWith('-')) return { problem: 'it is no URL' }
  const scp = SCP_FORM.exec(url)
  if (scp !== null) return named(url, 'ssh', scp[2]!)
  if (!URL.canParse(url)) return { problem: 'it is no URL' }
  const parsed = new URL(url)
  const protocol = PROTOCOLS.find((known) => parsed.protocol === `${known}:`)
  if (protocol === undefined) return { problem: `git is not to use "${parsed.protocol.slice(0, -1)}" here` }
  if (/[\s\\]/.test(url)) return { problem: 'it has a blank or a backslash in it' }
  if (parsed.password !== '' || (protocol !== 'ssh' && parsed.username !== '')) {
    return { problem: 'a user or a password stands in it, which everybody could read: use git.credentials' }
  }
  // ssh would take such a host for one of its options.
  if (parsed.hostname.startsWith('-')) return { problem: 'it is no URL' }
  return named(url, protocol, decoded(parsed.pathname))
}

function named(url: string, protocol: GitUrl['protocol'], path: string): GitUrl | { readonly problem: string } {
  const name =
    path
      .replace(/\/+$/, '')
      .split('/')
      .at(-1)
      ?.replace(/\.git$/, '') ?? ''
  return name === '' ? { problem: 'it names no repository' } : { url, protocol, name }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Whether git takes it for the name of a branch or a tag (git-check-ref-format(1)), and nobody for an option. */
export function isRefName(text: string): boolean {
  if (text === '' || text.length > 250 || text === '@' || /^[-/.]|[/.]$|\.\.|\/[/.]|@\{|\.lock(\/|$)/.test(text))
    return false
  return !/[\x00-\x20\x7f~^:?*[\\]/.test(text)
}

/** A commit by its SHA, or by the beginning of it. */
export function isCommitName(text: string): boolean {
  return /^[0-9a-f]{7,64}$/i.test(text)
}

/** A SHA-1 or SHA-256 with all its digits. */
export function isWholeCommit(text: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/i.test(text)
}
