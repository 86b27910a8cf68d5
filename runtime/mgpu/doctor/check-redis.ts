import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { resolveSecrets } from '../../shared/resolve-secrets.ts'
import { describeProblem } from '../../sidecar/events/redis-problem.ts'
import { parseRedisUrl, type RedisTarget } from '../../sidecar/events/redis-target.ts'

const TIMEOUT_MS = 2000

type RedisPlan = Pick<Plan, 'redis' | 'secrets' | 'paths'>

/** Says hello to the machine's Redis. A sentence of what is wrong, without a secret; `null` where all is well, or there is none. */
export async function checkRedis(plan: RedisPlan, environment: Environment): Promise<string | null> {
  let url: string | null
  let target: RedisTarget
  try {
    url = readUrl(plan, environment)
    if (url === null) return null
    target = parseRedisUrl(url)
  } catch (error) {
    return `cannot use redis.url: ${(error as Error).message}`
  }
  const secrets = [url, target.password, target.sentinelPassword].filter((secret) => secret !== null)
  try {
    const reply = await ping(target, plan.redis.certificateAuthority)
    return reply === null ? null : describeProblem(new Error(reply), target.name, secrets).message
  } catch (error) {
    return describeProblem(error, target.name, secrets).message
  }
}

function readUrl({ redis, secrets, paths }: RedisPlan, environment: Environment): string | null {
  const secret = secrets.find(({ name }) => name === redis.urlSecret)
  if (secret === undefined) return null
  const resolved = readIfThere(`${paths.run}/secrets/${secret.name}`)
  const url = resolved ?? resolveSecrets([secret], environment).values.get(secret.name) ?? ''
  return url.trim() === '' ? null : url.trim()
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** Signs in and sends PING; gives the first reply that is an error. Sentinels are only asked whether they are there. */
async function ping(target: RedisTarget, certificateAuthority: string | null): Promise<string | null> {
  const { host, port } = target.hosts[0]!
  const ca = certificateAuthority === null ? {} : { ca: readFileSync(certificateAuthority) }
  const isPlain = target.master !== null || !target.tls
  const socket = isPlain ? connect({ host, port }) : connectTls({ host, port, servername: host, ...ca })
  try {
    const signIn =
      target.password === null
        ? []
        : [['AUTH', ...(target.username === null ? [] : [target.username]), target.password]]
    const commands = target.master === null ? [...signIn, ['PING']] : []
    const replies = await talk(socket, isPlain ? 'connect' : 'secureConnect', commands)
    return replies.find((reply) => reply.startsWith('-'))?.slice(1) ?? null
  } finally {
    socket.destroy()
  }
}

function talk(socket: Socket, ready: string, commands: readonly (readonly string[])[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.setTimeout(TIMEOUT_MS, () => reject(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed')))
    socket.once(ready, () => {
      if (commands.length === 0) resolve([])
      socket.write(commands.map(encode).join(''))
    })
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const replies = text.split('\r\n').slice(0, -1)
      if (replies.length >= commands.length) resolve(replies)
    })
  })
}

const encode = (words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
