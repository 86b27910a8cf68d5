/** Requests as no client should send them, from a seed. */
import { TOKEN } from './http-machine.ts'

/** mulberry32: small, and the same numbers everywhere for a seed. */
export function createRandom(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => below(256)))
  return { below, pick, bytes, chance: (probability: number) => next() < probability }
}

export type Random = ReturnType<typeof createRandom>

const words = (text: string): string[] => text.split(' ')

const METHODS = words('GET GET GET GET POST POST POST HEAD OPTIONS PUT DELETE M-SEARCH')
const ODD_METHODS = ['get', 'FOO', 'CONNECT', 'G\u0000ET', 'PRI', '', 'X'.repeat(300)]
const PATHS = [
  ...words('/health /ready /status /version /services /metrics /logs /events /openapi.json / *'),
  ...words('/refresh-status /restart/service /restart/machine /pm2/list /pm2/logs /comfyui/logs'),
]
const GOOD_NAMES = words('nginx comfyui-gpu0 gpu0 ollama comfyui')
const ODD_NAMES = [
  ...words('nope . .. %00 %2e%2e%2fetc%2fpasswd % %E0%A4%A a;reboot $(id) `id` __proto__ constructor %ff%fe {name}'),
  ...['', "' OR 1=1", 'x'.repeat(2000), '\u{1F600}'],
]
const ENDINGS = ['', ...words('/health /logs /restart /start /stop / /nope /../../etc/passwd /health/x')]
const PARAMETERS = [
  ...words('lines limit follow level since until before after grep service gpu wait timeoutMs type stream'),
  ...['correlationId', 'x', '', '__proto__', '%00', 'lnies'],
]
const VALUES = [
  ...words('1 0 -1 1e9 99999999999999999999 true error ready 15m 2026-07-01T00:00:00Z nginx %00 %ff ..%2f NaN 0x10'),
  ...['', 'Infinity', '[]', '(a+)+$', 'x'.repeat(500), '\u{1F600}', 'c________'],
]

function target(random: Random): string {
  const name = random.pick(random.chance(0.6) ? GOOD_NAMES : ODD_NAMES)
  const path = random.chance(0.5) ? `/services/${name}${random.pick(ENDINGS)}` : random.pick(PATHS)
  const count = random.chance(0.7) ? 0 : random.below(3) + 1
  const query = Array.from({ length: count }, () => `${random.pick(PARAMETERS)}=${random.pick(VALUES)}`).join('&')
  const start = random.chance(0.03) ? random.pick(['http://a.b', 'ftp://x', '//', '\\']) : ''
  return `${start}${path}${count === 0 ? '' : `?${query}`}${random.chance(0.02) ? '#fragment' : ''}`
}

/** Each with its probability: lines of which one is taken. */
const HEADERS: readonly (readonly [number, readonly string[]])[] = [
  [0.6, [`Authorization: Bearer ${TOKEN}`]],
  [0.05, ['Authorization: Bearer x', 'Authorization: Basic \u00ff', 'Authorization:']],
  [0.1, [`X-Machine-Token: ${TOKEN}`, 'X-Machine-Token:', `X-Machine-Token: ${'y'.repeat(5000)}`]],
  [0.05, ['null', 'http://localhost', 'https://evil.example', '://', '\u00e9'].map((origin) => `Origin: ${origin}`)],
  [0.1, ['Last-Event-ID: 5', 'Last-Event-ID: abc', 'Last-Event-ID: 99999999999999999999']],
  [0.04, ['Expect: 100-continue', 'Expect: nonsense', 'Upgrade: websocket', 'Upgrade: h2c', 'Connection: upgrade']],
  [0.1, ['Accept: application/openmetrics-text', 'Sec-Fetch-Site: cross-site', 'X-Real-IP: ;id', 'Range: bytes=0-']],
  [0.02, [`X-Large: ${'z'.repeat(80_000)}`, `${'k'.repeat(3000)}: v`, 'no colon here', ': empty', 'A\u0000: b']],
]

const EVIL = 'Host: evil.example.com'
const HOSTS = [EVIL, EVIL, EVIL, EVIL, 'Host:', 'Host: [::1', 'Host: a\tb', 'X-No: host']
const BODIES = ['{}', '{"reason":"x"}', '{', '[]', 'null', '{"a":1}', '{"reason":{}}', 'a=b', '"', '\u0000', '']
const LENGTHS = [0, 1, 99_999_999, -1, '5, 6', '1e3']
const TYPES = ['application/json', 'application/json', 'text/plain', '', 'a/b;;;']
const VERSIONS = ['HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTX/1.1', '']

/** The bytes of one request. The last one of a connection mostly asks for its end. */
export function randomRequest(random: Random, isLast: boolean): Buffer {
  if (random.chance(0.02)) return random.bytes(random.below(400))
  const method = random.pick(random.chance(0.02) ? ODD_METHODS : METHODS)
  const version = random.chance(0.03) ? random.pick(VERSIONS) : 'HTTP/1.1'
  const lines = [`${method} ${target(random)} ${version}`]
  lines.push(random.chance(0.9) ? 'Host: localhost' : random.pick(HOSTS))
  for (const [probability, choices] of HEADERS) if (random.chance(probability)) lines.push(random.pick(choices))
  if (isLast && random.chance(0.8)) lines.push('Connection: close')
  const body = random.chance(0.4) ? randomBody(random) : null
  if (body !== null) {
    const length = random.chance(0.1) ? random.pick(LENGTHS) : body.length
    lines.push(random.chance(0.15) ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`)
    if (random.chance(0.8)) lines.push(`Content-Type: ${random.pick(TYPES)}`)
  }
  const newline = random.chance(0.02) ? '\n' : '\r\n'
  const head = Buffer.from(`${lines.join(newline)}${newline}${newline}`, random.pick(['utf8', 'latin1']))
  const whole = Buffer.concat([head, body ?? Buffer.alloc(0)])
  return random.chance(0.05) ? whole.subarray(0, random.below(whole.length)) : whole
}

function randomBody(random: Random): Buffer {
  return random.chance(0.1) ? random.bytes(random.below(300_000)) : Buffer.from(random.pick(BODIES))
}
