const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A value as text or as a quoted attribute of an HTML page. NUL, which HTML cannot hold, becomes U+FFFD. */
export function htmlText(value: string): string {
  return value.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '').replaceAll('\0', '\ufffd')
}

/** Text of a comment: one line, and `--` cannot end it. */
export function htmlComment(text: string): string {
  return text.replace(/[\s\x00-\x1f\x7f-\x9f]+/g, ' ').replace(/-(?=-)|[<>]/g, (character) => `${character} `)
}
