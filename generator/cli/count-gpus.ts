/** A driver that has lost a GPU can hang. */
const TIMEOUT_MS = 10_000

/** How many GPUs `nvidia-smi` finds on this host; `null` where it does not work. */
export function countGpus(): number | null {
  // Loaded here: it takes as long as a tenth of a render, and few machines ask.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { status, stdout } = spawnSync('nvidia-smi', ['--list-gpus'], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  if (status !== 0) return null
  return stdout.split('\n').filter((line) => line.startsWith('GPU ')).length
}
