import { dirname, resolve } from 'node:path'
import { watch } from 'chokidar'
import { EXIT, failure, reportFailure } from './failure.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import { layerFiles, lockFileOf } from './layers.ts'

/** Editors save in several steps, and one save can touch several layers. */
const SETTLE_MS = 60

/**
 * Renders now and after every save of a layer, until SIGINT or SIGTERM. A machine with errors leaves the last good tree
 * as it is. The directories of the layers are watched, not the files: many editors replace a file instead of writing it.
 */
export async function watchAndRender(
  { words, values }: Invocation<'render'>,
  host: Host,
  render: () => number,
): Promise<number> {
  const files = layerFiles(words, values.file)
  if (files.includes('-')) throw failure(EXIT.usage, 'cannot watch standard input')
  const lock = lockFileOf(files)
  const paths = new Set([...files, ...(lock === null ? [] : [lock])].map((file) => resolve(file)))
  const directories = [...new Set([...paths].map((path) => dirname(path)))]
  const watcher = watch(directories, {
    depth: 0,
    ignoreInitial: true,
    ignored: (path) => !paths.has(resolve(path)) && !directories.includes(resolve(path)),
  })
  let timer: NodeJS.Timeout | undefined
  watcher.on('all', (event, path) => {
    if (!paths.has(resolve(path)) || event === 'unlink') return
    clearTimeout(timer)
    timer = setTimeout(() => attempt(values, host, render), SETTLE_MS)
  })
  await new Promise<void>((ready) => watcher.once('ready', ready))
  attempt(values, host, render)
  if (!values.quiet) host.say(`watching ${files.join(', ')}: Ctrl-C ends it\n`)
  await new Promise<void>((ended) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended())
  })
  clearTimeout(timer)
  await watcher.close()
  return EXIT.done
}

function attempt({ out }: Invocation<'render'>['values'], host: Host, render: () => number): void {
  let exitCode: number
  try {
    exitCode = render()
  } catch (error) {
    exitCode = reportFailure(host, 'render', error)
  }
  if (exitCode !== EXIT.done) host.say(`${out}: kept as it was\n`)
}
