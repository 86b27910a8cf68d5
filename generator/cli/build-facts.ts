declare const MACHINEGEN_VERSION: string | undefined
declare const MACHINEGEN_BUILD: string | undefined

/** Version of the package; the build fills it in. */
export const VERSION = typeof MACHINEGEN_VERSION === 'string' ? MACHINEGEN_VERSION : '0.0.0-unbuilt'

/** Hash of all that makes trees what they are: the compiler, and the programs that go into them. */
export const BUILD = typeof MACHINEGEN_BUILD === 'string' ? MACHINEGEN_BUILD : 'unbuilt'

/** machinegen's programs that run in a machine, beside the command line. */
export const PROGRAMS = ['provision', 'sidecar', 'simulate'] as const
