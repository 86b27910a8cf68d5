declare const MACHINEGEN_VERSION: string | undefined
declare const MACHINEGEN_BUILD: string | undefined
/** JSON: an object would be a module of its own in the bundle, which all others wait for. */
declare const MACHINEGEN_PROGRAM_HASHES: string | undefined

/** Version of the package; the build fills it in. */
export const VERSION = typeof MACHINEGEN_VERSION === 'string' ? MACHINEGEN_VERSION : '0.0.0-unbuilt'

/** Hash of all that makes trees what they are: the compiler, and the programs that go into them. */
export const BUILD = typeof MACHINEGEN_BUILD === 'string' ? MACHINEGEN_BUILD : 'unbuilt'

/** SHA-256 of each program that was built with this, by name: a megabyte need not be read at each render. */
export const PROGRAM_HASHES: Readonly<Record<string, string>> =
  typeof MACHINEGEN_PROGRAM_HASHES === 'string' ? JSON.parse(MACHINEGEN_PROGRAM_HASHES) : {}

/** machinegen's programs that run in a machine, beside the command line. */
export const PROGRAMS = ['mgpu', 'provision', 'sidecar', 'simulate'] as const
