/** Why git could not do something. */
export class GitFailure extends Error {
  /** It will be the same the next time: nobody waits to try again. */
  readonly isLasting: boolean

  constructor(message: string, isLasting: boolean) {
    super(message)
    this.isLasting = isLasting
  }
}

/** What git and ssh say where another try does not help, and what to do about it. */
const LASTING: readonly { readonly sign: RegExp; readonly why: string }[] = [
  {
    sign: /terminal prompts disabled|could not read (Username|Password)/i,
    why: 'its host wants a login: it is private, or does not exist; see git.credentials',
  },
  { sign: /Authentication failed|HTTP 40[13]|error: 40[13]/i, why: 'the credential for its host does not open it' },
  { sign: /Permission denied \((publickey|password)/i, why: 'its host does not accept the ssh key: see git.sshKey' },
  { sign: /Host key verification failed/i, why: 'the key of its host is not the known one: see git.knownHosts' },
  { sign: /repository .* not found|Repository not found|HTTP 404|error: 404/i, why: 'there is no such repository' },
  {
    sign: /does not appear to be a git repository|not a git repository/i,
    why: 'there is no git repository',
  },
  { sign: /transport '?.*'? not allowed/i, why: 'git may not use that protocol here: see git.protocols' },
  { sign: /No space left on device/i, why: 'the disk is full' },
]

/** The failure of a command of git, from what it said. */
export function gitFailure(what: string, lines: readonly string[], problem: string | null): GitFailure {
  const text = lines.join('\n')
  const known = LASTING.find(({ sign }) => sign.test(text))
  if (known !== undefined) return new GitFailure(`cannot ${what}: ${known.why}`, true)
  return new GitFailure(`cannot ${what}: ${problem ?? lastWords(lines)}`, false)
}

/** The line that says it: git ends with advice and with what a remote said. */
function lastWords(lines: readonly string[]): string {
  const telling =
    lines.findLast((line) => /^(fatal|error|ssh|remote): ?\S/.test(line)) ?? lines.findLast((line) => line !== '')
  return telling?.replace(/^(fatal|error): /, '') ?? 'git does not say why'
}
