/** Types of public key that OpenSSH takes (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"), and their beginning in base64. */
const KEY =
  /(?:^|[ \t])(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)[ \t]+AAAA[A-Za-z0-9+/]{16,}={0,3}(?:[ \t]|$)/

const MAX_LINE_BYTES = 16_384

/** The public keys of a text as lines for sshd, and what is wrong with other lines, in words without what stands there. */
export function readAuthorizedKeys(
  text: string,
  origin: string,
): { readonly keys: readonly string[]; readonly problems: readonly string[] } {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    return { keys: [], problems: [`cannot use ${origin}: it is a private key, and nobody else should have seen it`] }
  }
  const keys: string[] = []
  const problems: string[] = []
  // Environment variables often have the line ends of a list in writing.
  for (const [index, line] of text.split(/\r?\n|\\n/).entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    if (KEY.test(trimmed) && trimmed.length <= MAX_LINE_BYTES && !/[\0-\x08\x0b-\x1f]/.test(trimmed)) keys.push(trimmed)
    else problems.push(`cannot use line ${index + 1} of ${origin}: it is no public key`)
  }
  return { keys, problems }
}
