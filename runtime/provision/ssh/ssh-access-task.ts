import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { PlannedSsh } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { isRoot } from '../account.ts'
import { runCommand } from '../framework/run-command.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { readAuthorizedKeys } from './authorized-keys.ts'
import { ensureHostKey } from './host-key.ts'

/** Where sshd of root gives up its rights; it wants the directory to be there (OpenSSH, `PRIVSEP_PATH`). */
const PRIVILEGE_DIRECTORY = '/run/sshd'

/** Prepares the SSH server: its host key on the volume, who may log in, and a configuration that it accepts. */
export const sshAccessTask: ProvisionTask = {
  preview: async ({ plan: { ssh } }) => {
    if (ssh === null) return ['nothing: this machine runs no SSH server']
    return [
      existsSync(ssh.hostKey) ? `keep the host key "${ssh.hostKey}"` : `make a host key "${ssh.hostKey}"`,
      `write "${ssh.authorizedKeysFile}"`,
    ]
  },
  run: async (context) => {
    const { ssh } = context.plan
    if (ssh === null) return { failures: [], warnings: [] }
    if (!existsSync(ssh.program)) {
      const problem = `cannot run an SSH server: "${ssh.program}" is not installed (apt-get install openssh-server)`
      return { failures: [problem], warnings: [] }
    }
    return prepare(context, ssh)
  },
}

async function prepare(context: TaskContext, ssh: PlannedSsh): Promise<TaskOutcome> {
  const { keys, problems } = collectKeys(context, ssh)
  if (keys.length === 0) {
    const problem = 'cannot let anybody in by SSH: access.ssh has no public key (set SSH_AUTHORIZED_KEYS)'
    return { failures: [...problems, problem], warnings: [] }
  }
  mkdirSync(dirname(ssh.authorizedKeysFile), { recursive: true, mode: 0o755 })
  writeFileAtomically(ssh.authorizedKeysFile, `${keys.join('\n')}\n`, 0o600)
  const { fingerprint, warning } = await ensureHostKey(ssh.hostKey, context.plan.machine.id)
  context.report.note(`host key ${fingerprint}`)
  if (isRoot()) mkdirSync(PRIVILEGE_DIRECTORY, { recursive: true, mode: 0o755 })
  const refusal = await testConfiguration(ssh)
  return {
    failures: refusal === null ? [] : [refusal],
    warnings: [...problems, ...(warning === null ? [] : [warning])],
    facts: { keys: keys.length, hostKey: fingerprint },
  }
}

function collectKeys(
  { secret }: TaskContext,
  { authorizedKeys, authorizedKeysSecret, authorizedKeysSource }: PlannedSsh,
) {
  const given = [
    { text: authorizedKeys ?? '', origin: 'access.ssh.authorizedKeys' },
    {
      text: authorizedKeysSecret === null ? '' : (secret(authorizedKeysSecret) ?? ''),
      origin: 'access.ssh.authorizedKeys',
    },
    ...(authorizedKeysSource === null ? [] : [fileText(authorizedKeysSource)]),
  ]
  const read = given.map((one) =>
    'problem' in one ? { keys: [], problems: [one.problem] } : readAuthorizedKeys(one.text, one.origin),
  )
  return {
    keys: [...new Set(read.flatMap(({ keys }) => keys))],
    problems: read.flatMap(({ problems }) => problems),
  }
}

function fileText(file: string): { text: string; origin: string } | { problem: string } {
  try {
    return { text: readFileSync(file, 'utf8'), origin: `"${file}"` }
  } catch (error) {
    return { problem: `cannot read "${file}" of access.ssh: ${(error as Error).message}` }
  }
}

/** sshd checks itself what it is given: a mistake shows here, not in a service that dies again and again. */
async function testConfiguration({ program, configFile }: PlannedSsh): Promise<string | null> {
  const { code, problem, lastLines } = await runCommand([program, '-t', '-f', configFile], { timeoutMs: 30_000 })
  if (code === 0) return null
  return `sshd refuses its configuration: ${problem ?? lastLines.at(-1) ?? `it ends with ${code}`}`
}
