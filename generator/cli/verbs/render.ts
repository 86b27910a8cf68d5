import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { renderOnce } from '../render-once.ts'

/** `render`: writes the tree, or says what would be written. */
export async function run(invocation: Invocation<'render'>, host: Host): Promise<number> {
  if (!invocation.values.watch) return renderOnce(invocation, host)
  const { watchAndRender } = await import('../watch-and-render.ts')
  return watchAndRender(invocation, host, () => renderOnce(invocation, host))
}
