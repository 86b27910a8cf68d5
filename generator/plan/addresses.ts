/** `::` in any of its spellings: `::0`, `0:0:0:0:0:0:0:0`. */
const ANY_V6 = /^[0:]*:[0:]*$/

/** The address that a service binds on this target: a laptop does not offer its test machine to the network. */
export function bindAddress(listen: string, target: 'container' | 'local'): string {
  const given = listen.replace(/^\[|\]$/g, '')
  const address = ANY_V6.test(given) ? '::' : given
  if (target !== 'local') return address
  return address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
}

/** Where a service that binds `listen` is reached from inside the machine. */
export function reachableAddress(listen: string): string {
  if (listen === '0.0.0.0' || listen === 'localhost') return '127.0.0.1'
  return listen === '::' ? '::1' : listen
}

export function isWildcard(listen: string): boolean {
  return listen === '0.0.0.0' || listen === '::'
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function hostAndPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
