import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { describeProblem, retryDelayMs } from '../../runtime/sidecar/events/redis-problem.ts'
import { parseRedisUrl, type RedisTarget } from '../../runtime/sidecar/events/redis-target.ts'

const PLAIN: RedisTarget = {
  hosts: [{ host: 'r', port: 6379 }],
  master: null,
  db: 0,
  username: null,
  password: null,
  sentinelUsername: null,
  sentinelPassword: null,
  tls: false,
  name: 'r:6379',
}

const URLS: readonly [url: string, target: Partial<RedisTarget>][] = [
  ['redis://r', {}],
  [' redis://r:6379/\n', {}],
  ['redis://r:7000/3', { hosts: [{ host: 'r', port: 7000 }], db: 3, name: 'r:7000' }],
  ['redis://r?db=2', { db: 2 }],
  ['redis://:p%40ss@r', { password: 'p@ss' }],
  ['redis://ann:a:b@r', { username: 'ann', password: 'a:b' }],
  [
    'rediss://ann:pw@r:6380',
    { tls: true, username: 'ann', password: 'pw', hosts: [{ host: 'r', port: 6380 }], name: 'r:6380' },
  ],
  ['redis://[fd00::1]:6400', { hosts: [{ host: 'fd00::1', port: 6400 }], name: '[fd00::1]:6400' }],
  ['redis://[::1]', { hosts: [{ host: '::1', port: 6379 }], name: '[::1]:6379' }],
  [
    'redis+sentinel://ann:pw@s1,s2:5000/main/4?sentinelPassword=x',
    {
      hosts: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 5000 },
      ],
      master: 'main',
      db: 4,
      username: 'ann',
      password: 'pw',
      sentinelPassword: 'x',
      name: 's1:26379,s2:5000',
    },
  ],
]

for (const [url, target] of URLS) {
  test(`reads ${JSON.stringify(url)}`, () => assert.equal(parseRedisUrl(url), { ...PLAIN, ...target }))
}

const WRONG: readonly [url: string, why: RegExp][] = [
  ['redis://default:hush@host:port', /its port "port" is no number/],
  ['http://ann:hush@r', /no URL of a Redis/],
  ['hush', /no URL of a Redis/],
  ['redis://ann:hush@r:70000', /no number from 1 to 65535/],
  ['redis://ann:hush@r/x', /its database "x"/],
  ['redis://ann:hush@a,b', /several hosts/],
  ['redis://ann:hush@fd00::1', /stand in brackets|is no number/],
  ['redis+sentinel://ann:hush@s1', /names no master/],
]

for (const [url, why] of WRONG) {
  test(`refuses ${JSON.stringify(url)} without saying what is secret in it`, () => {
    try {
      parseRedisUrl(url)
    } catch (error) {
      const { message } = error as Error
      assert.match(message, why)
      assert.not.match(message, 'hush')
      return
    }
    assert.unreachable()
  })
}

test('a problem has a kind, and words without secrets', () => {
  const describe = (message: string, code?: string) =>
    describeProblem(Object.assign(new Error(message), { code }), 'r:6379', ['hush-hush'])
  assert.is(describe('WRONGPASS invalid username-password pair').kind, 'refused')
  assert.is(describe('NOAUTH Authentication required.').kind, 'refused')
  assert.is(describe("NOPERM this user has no permissions to run the 'xadd' command").kind, 'refused')
  assert.is(describe("READONLY You can't write against a read only replica.").kind, 'busy')
  assert.is(describe('LOADING Redis is loading the dataset in memory').kind, 'busy')
  assert.is(describe('connect ECONNREFUSED 127.0.0.1:6379', 'ECONNREFUSED').kind, 'away')
  assert.is(describe('unable to verify the first certificate', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE').kind, 'refused')
  assert.is(describe('OOM command not allowed').kind, 'away')
  assert.is(describe('x hush-hush y').message, 'cannot reach Redis at r:6379: x *** y')
})

test('retries begin at a quarter of a second and slow down, those that need a person at once', () => {
  const delays = (kind: 'away' | 'busy' | 'refused') => [1, 2, 3, 4, 5, 6, 7, 50].map((n) => retryDelayMs(kind, n, 0.5))
  assert.equal(delays('away'), [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000])
  assert.equal(delays('busy'), [250, 500, 1000, 1000, 1000, 1000, 1000, 1000])
  assert.equal(delays('refused'), Array(8).fill(30_000))
  assert.equal([retryDelayMs('away', 1, 0), retryDelayMs('away', 1, 1)], [200, 300])
})

test.run()
