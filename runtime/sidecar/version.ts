/** Put in by the bundler; absent where the sources run as they are. */
declare const MACHINEGEN_VERSION: string | undefined

export const VERSION: string = typeof MACHINEGEN_VERSION === 'string' ? MACHINEGEN_VERSION : 'source'
