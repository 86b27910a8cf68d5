import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryDirectory } from '../temporary-directory.ts'
import { eventually, type RunningMachine, services, startMachine, stopAll, stopMachine } from './running-machine.ts'

test.after(stopAll)

const MISSING = ['/usr/sbin/sshd', '/usr/bin/ssh', '/usr/bin/ssh-keygen'].filter((program) => !existsSync(program))

/** A test that needs OpenSSH says so where it cannot run. */
function sshTest(name: string, run: () => Promise<void>): void {
  if (MISSING.length === 0) return void test(name, run)
  test(`skipped, since ${MISSING.join(', ')} is missing: ${name}`, () => {
    process.stderr.write(`skipped, since ${MISSING.join(', ')} is missing: ${name}\n`)
  })
}

function makeKey(): { readonly file: string; readonly publicKey: string } {
  const file = join(temporaryDirectory(), 'key')
  const words = ['-q', '-t', 'ed25519', '-N', '', '-C', 'operator', '-f', file]
  assert.is(spawnSync('ssh-keygen', words).status, 0)
  return { file, publicKey: readFileSync(`${file}.pub`, 'utf8').trim() }
}

const USER = spawnSync('id', ['-un'], { encoding: 'utf8' }).stdout.trim()

function login(machine: RunningMachine, key: string, knownHosts: string, ...options: string[]) {
  const words = [
    ...['-F', 'none', '-i', key, '-p', String(22 + machine.portOffset), '-o', `UserKnownHostsFile=${knownHosts}`],
    ...['-o', 'StrictHostKeyChecking=accept-new', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', ...options],
    ...[`${USER}@127.0.0.1`, 'echo logged-in'],
  ]
  return spawnSync('ssh', words, { encoding: 'utf8', timeout: 20_000 })
}

const MACHINE = `
machine: { id: ssh-test, gpu: { count: 0 } }
services: { extra: { command: [sleep, "1000"] } }
access: { ssh: {} }
`

sshTest('the right key gets in, nobody else does, and the host key stays the same over restarts', async () => {
  const key = makeKey()
  const stranger = makeKey()
  const knownHosts = join(temporaryDirectory(), 'known_hosts')
  const environment = { SSH_AUTHORIZED_KEYS: `# operators\n${key.publicKey}\nnot a key\n` }
  const machine = await startMachine(MACHINE, environment)
  await eventually('sshd ready', async () => (await services(machine)).sshd?.ready, 60_000)
  const inside = login(machine, key.file, knownHosts)
  assert.is(inside.stdout.trim(), 'logged-in', inside.stderr)
  assert.match(login(machine, stranger.file, knownHosts).stderr, 'Permission denied (publickey)')
  const byPassword = login(machine, stranger.file, knownHosts, '-o', 'PreferredAuthentications=password')
  assert.match(byPassword.stderr, 'Permission denied (publickey)')
  const hostKey = join(machine.stateDirectory, 'workspace/.machine/ssh/host_ed25519_key')
  assert.is(statSync(hostKey).mode & 0o777, 0o600)
  const made = readFileSync(hostKey, 'utf8')
  assert.is(statSync(join(machine.stateDirectory, 'run/ssh/authorized_keys')).mode & 0o777, 0o600)
  const log = readFileSync(join(machine.stateDirectory, 'workspace/logs/ssh-access/current'), 'utf8')
  assert.match(log, /host key SHA256:/)
  assert.match(log, 'cannot use line 3 of access.ssh.authorizedKeys: it is no public key')
  assert.not.match(log, 'not a key')
  const plan = readFileSync(join(machine.stateDirectory, 'config/plan.json'), 'utf8')
  assert.not.match(plan, key.publicKey)
  const again = spawnSync(
    process.execPath,
    ['dist/provision.js', 'ssh-access', '--plan', join(machine.stateDirectory, 'config/plan.json')],
    { encoding: 'utf8', env: { ...process.env, ...environment } },
  )
  assert.is(again.status, 0, again.stdout)
  assert.is(readFileSync(hostKey, 'utf8'), made)
  assert.is(await stopMachine(machine), 0)
})

sshTest('without a key sshd does not start, which holds nobody up and is said', async () => {
  const machine = await startMachine(MACHINE)
  await eventually('the task failed', async () => (await services(machine))['ssh-access']?.state === 'failed', 90_000)
  const { extra, sshd } = await services(machine)
  assert.is(extra!.ready, true)
  assert.is(sshd!.ready, false)
  assert.match(sshd!.reason ?? '', 'waits for ssh-access')
  const health = await fetch(`http://127.0.0.1:${9090 + machine.portOffset}/health`)
  assert.is(health.status, 200)
  assert.match(await health.text(), 'ssh-access')
  const log = readFileSync(join(machine.stateDirectory, 'workspace/logs/ssh-access/current'), 'utf8')
  assert.match(log, 'access.ssh has no public key (set SSH_AUTHORIZED_KEYS)')
  assert.is(await stopMachine(machine), 0)
})

test.run()
