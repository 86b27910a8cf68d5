import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../generator/compile.ts'
import { sshdAddress, sshdPath } from '../../generator/emit/quote/sshd.ts'
import { readAuthorizedKeys } from '../../runtime/provision/ssh/authorized-keys.ts'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl'

function compiled(access: string, services = '{}') {
  const text = `machine: { id: m1, gpu: { count: 0 } }\nservices: ${services}\naccess: ${access}\n`
  return compile({ sources: [{ file: 'machine.yaml', text }] })
}

test('an SSH server takes keys alone, for root alone, from files that the plan names', () => {
  const { plan, artifacts, diagnostics } = compiled('{ ssh: { port: 2222 } }')
  assert.equal(diagnostics, [])
  const { ssh } = plan!
  assert.is(ssh!.authorizedKeysSecret, 'ssh-authorized-keys')
  const config = artifacts.find(({ path }) => path === 'etc/machinegen/ssh/sshd_config')!
  const lines = String(config.content).split('\n')
  for (const line of [
    'ListenAddress 0.0.0.0:2222',
    'HostKey "/workspace/.machine/ssh/host_ed25519_key"',
    'AuthorizedKeysFile "/run/machine/ssh/authorized_keys"',
    'AllowUsers root',
    'PasswordAuthentication no',
    'StrictModes yes',
  ]) {
    assert.ok(lines.includes(line), line)
  }
  const sshd = plan!.services.find(({ name }) => name === 'sshd')!
  assert.ok(sshd.optional)
  assert.equal(sshd.waitsFor, ['ssh-access'])
  const others = plan!.services.filter(({ type }) => type !== 'sshd')
  assert.not(others.some(({ waitsFor }) => waitsFor.some((name) => name.startsWith('ssh'))))
})

test('a machine without access has no SSH server, and one that is switched off neither', () => {
  for (const access of ['{}', '{ ssh: { enabled: false } }']) {
    const { plan, artifacts } = compiled(access)
    assert.is(plan!.ssh, null)
    assert.not(artifacts.some(({ path }) => path.includes('ssh')))
  }
})

test('public keys may stand in the machine file: they are no secret', () => {
  const { plan, diagnostics } = compiled(`{ ssh: { authorizedKeys: "${KEY} operator", authorizedKeysFile: keys } }`)
  assert.equal(diagnostics, [])
  assert.is(plan!.ssh!.authorizedKeys, `${KEY} operator`)
  assert.is(plan!.ssh!.authorizedKeysSecret, null)
  assert.is(plan!.ssh!.authorizedKeysSource, '/workspace/keys')
})

test('its port can be taken, and its name is', () => {
  const taken = compiled('{ ssh: { port: 80 } }', '{ nginx: {} }')
  assert.ok(taken.diagnostics.some(({ code, message }) => code === 'PORT_CONFLICT' && message.includes('sshd')))
  const named = compiled('{}', '{ sshd: { command: [sleep, "1"] } }')
  assert.ok(named.diagnostics.some(({ code }) => code === 'RESERVED_NAME'))
})

test('nothing but paths and addresses gets into sshd_config', () => {
  assert.is(sshdPath('/a path/with spaces'), '"/a path/with spaces"')
  for (const path of ['/a"b', '/a\\b', '/a\nPermitRootLogin yes', '/%h', '/a\0b']) assert.throws(() => sshdPath(path))
  assert.is(sshdAddress('::1', 22), '[::1]:22')
  assert.throws(() => sshdAddress('0.0.0.0\nPort 1', 22))
})

test('lines of keys are told from other lines, without a word of what stands there', () => {
  const rsa = `ssh-rsa AAAA${'B'.repeat(300)}= someone@host`
  const options = `from="10.0.0.0/8",no-pty ${KEY}`
  const text = `# comment\n\n${KEY}\r\n${rsa}\n${options}\nsecret words\nssh-ed25519 short\n`
  const { keys, problems } = readAuthorizedKeys(text, 'the file')
  assert.equal(keys, [KEY, rsa, options])
  assert.equal(problems, [
    'cannot use line 6 of the file: it is no public key',
    'cannot use line 7 of the file: it is no public key',
  ])
  assert.equal(readAuthorizedKeys(`${KEY}\\n${rsa}`, 'it').keys, [KEY, rsa])
  const pasted = readAuthorizedKeys('-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n', 'it')
  assert.equal(pasted.keys, [])
  assert.match(pasted.problems[0]!, 'it is a private key')
})

test.run()
