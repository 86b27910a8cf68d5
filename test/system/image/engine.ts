import { spawnSync } from 'node:child_process'

/** A container engine that works on this host. */
export interface Engine {
  readonly name: string
  /** Runs it to its end. */
  readonly run: (words: readonly string[], timeoutMs?: number) => EngineResult
}

export interface EngineResult {
  readonly code: number | null
  readonly output: string
}

const SECOND = 1000
const MINUTE = 60 * SECOND

/**
 * `IMAGE_ENGINE` with its options, e.g. `podman --cgroup-manager=cgroupfs`; else the first of docker and podman that
 * answers. A sentence where there is none.
 */
export function findEngine(): Engine | string {
  const named = process.env.IMAGE_ENGINE
  const candidates = named === undefined ? [['docker'], ['podman']] : [named.split(' ')]
  for (const [program, ...options] of candidates) {
    const run: Engine['run'] = (words, timeoutMs = MINUTE) => {
      const { status, stdout, stderr } = spawnSync(program!, [...options, ...words], {
        encoding: 'utf8',
        timeout: timeoutMs,
        maxBuffer: 256 * 1024 * 1024,
      })
      return { code: status, output: `${stdout ?? ''}${stderr ?? ''}` }
    }
    if (run(['info'], 20 * SECOND).code === 0) return { name: program!, run }
  }
  return 'neither docker nor podman works on this host'
}

/** Further `--build-arg NAME=VALUE` of the build, from `IMAGE_BUILD_ARGS`, separated by blanks: mirrors, local bases. */
const buildArguments = (): string[] => (process.env.IMAGE_BUILD_ARGS ?? '').split(' ').filter(Boolean)

/** Further words after `build`, from `IMAGE_BUILD_OPTIONS`. */
const buildOptions = (): string[] => (process.env.IMAGE_BUILD_OPTIONS ?? '').split(' ').filter(Boolean)

const BASES = { NODE_IMAGE: 'node:20-bookworm-slim', SIM_BASE_IMAGE: 'debian:bookworm-slim' }
const S6_OVERLAY = 'https://github.com/just-containers/s6-overlay/releases/download'

/** What the build would need and this host cannot have; `null` where it can have all. */
export async function findMissing(engine: Engine): Promise<string | null> {
  const given = new Map(buildArguments().map((argument) => argument.split('=', 2) as [string, string]))
  for (const [name, image] of Object.entries(BASES)) {
    if (given.has(name)) continue
    const here = engine.run(['image', 'inspect', image]).code === 0
    if (!here && engine.run(['pull', '--quiet', image], 5 * MINUTE).code !== 0)
      return `the image ${image} cannot be had`
  }
  if (given.has('S6_OVERLAY_BASE_URL')) return null
  try {
    const { status } = await fetch(S6_OVERLAY, { method: 'HEAD', signal: AbortSignal.timeout(15 * SECOND) })
    return status < 500 ? null : `${S6_OVERLAY} answers ${status}`
  } catch (error) {
    return `s6-overlay cannot be had: ${(error as Error).message}`
  }
}

/** Builds the image with stand-ins. */
export function buildImage(engine: Engine, tag: string): EngineResult {
  const named = buildArguments().flatMap((argument) => ['--build-arg', argument])
  return engine.run(['build', ...buildOptions(), '--target', 'sim', '--tag', tag, ...named, '.'], 20 * MINUTE)
}
