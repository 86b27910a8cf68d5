import type { Plan } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { artifactPath } from '../artifact-path.ts'
import { sshdAddress, sshdPath } from '../quote/sshd.ts'

/** sshd_config; nothing where the machine has no SSH server. Keys only, and only for who runs the machine. */
export function emitSshd(plan: Plan, marker: string): Artifact[] {
  const { ssh, target } = plan
  if (ssh === null) return []
  const lines = [
    `# ${marker}`,
    `ListenAddress ${sshdAddress(ssh.listen, ssh.port)}`,
    `HostKey ${sshdPath(ssh.hostKey)}`,
    `AuthorizedKeysFile ${sshdPath(ssh.authorizedKeysFile)}`,
    // The file of keys is one for all: without this it would open every account that has a shell.
    ...(target === 'container' ? ['AllowUsers root'] : []),
    'PermitRootLogin prohibit-password',
    'AuthenticationMethods publickey',
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'HostbasedAuthentication no',
    'PermitEmptyPasswords no',
    'UsePAM no',
    // A trial on a laptop has its state where it likes, below a directory of a group perhaps.
    `StrictModes ${target === 'container' ? 'yes' : 'no'}`,
    'PermitUserEnvironment no',
    'X11Forwarding no',
    'AllowAgentForwarding no',
    // A tunnel to a service of the machine, and from nowhere else into it.
    'AllowTcpForwarding local',
    'GatewayPorts no',
    'PidFile none',
    'PrintMotd no',
    'ClientAliveInterval 60',
    'ClientAliveCountMax 3',
    'LoginGraceTime 30',
    'MaxAuthTries 4',
    'Subsystem sftp internal-sftp',
  ]
  const path = artifactPath(plan, ssh.configFile)
  return [{ path, mode: 0o644, content: `${lines.join('\n')}\n`, source: 'ssh' }]
}
