import { type Compilation, isLastConsumer, isUserBundle, type OwnService } from '../compilation.ts'
import { doubt, type Finding, mistake, rejection, wholeOf } from '../finding.ts'
import { readNameDirectory, readNameFile, readType, type ServiceKind } from '../service-files.ts'
import { directoryAt, type Entry, exists, type FileEntry, fileAt, textOf } from '../source-tree.ts'

type Shape = 'file' | 'directory' | 'any'
const ALL: readonly ServiceKind[] = ['longrun', 'oneshot', 'bundle']
const ATOMIC: readonly ServiceKind[] = ['longrun', 'oneshot']

/** What a service directory may hold: for which kinds, and as what. s6-rc drops everything else without a word. */
const FILES = new Map<string, readonly [readonly ServiceKind[], Shape]>(
  Object.entries({
    type: [ALL, 'file'],
    'flag-essential': [ALL, 'any'],
    'flag-recommended': [ALL, 'any'],
    'contents.d': [['bundle'], 'directory'],
    contents: [['bundle'], 'file'],
    'timeout-up': [ATOMIC, 'file'],
    'timeout-down': [ATOMIC, 'file'],
    'dependencies.d': [ATOMIC, 'directory'],
    dependencies: [ATOMIC, 'file'],
    up: [['oneshot'], 'file'],
    down: [['oneshot'], 'file'],
    reload: [['oneshot'], 'file'],
    data: [['longrun'], 'directory'],
    env: [['longrun'], 'directory'],
    template: [['longrun'], 'directory'],
    ...Object.fromEntries(
      [
        ...['run', 'finish', 'notification-fd', 'lock-fd', 'timeout-kill', 'timeout-finish', 'max-death-tally'],
        ...['down-signal', 'reload-signal', 'producer-for', 'consumer-for', 'pipeline-name'],
      ].map((name) => [name, [['longrun'], 'file']] as const),
    ),
    'flag-timeout-killpg': [['longrun'], 'any'],
    'flag-newpidns': [['longrun'], 'any'],
  } satisfies Record<string, readonly [readonly ServiceKind[], Shape]>),
)

const STRAY_HINTS = new Map(
  Object.entries({
    log: 's6-rc has no log directories: make the logger a longrun of its own, with "producer-for" and "consumer-for"',
    down: 's6-rc starts what is asked of it: leave the service out of its bundle instead',
    'dependencies.d': 'a bundle has no dependencies of its own: its members need them',
    dependencies: 'a bundle has no dependencies of its own: its members need them',
  }),
)

/** Every service has a `type` that s6-rc understands. */
export function* typeRules({ services, profile }: Compilation): Iterable<Finding> {
  for (const { name, directory } of services) {
    const type = fileAt(directory, 'type')
    if (type !== undefined && readType(type) === undefined) yield badType(name, type)
    else if (type === undefined && !exists(directory, 'type') && !isUserBundle(name, profile)) {
      const what = directory.entries.size === 0 ? 'the directory is empty' : 'it has no file "type"'
      yield rejection('S6_BAD_TYPE', wholeOf(directory), `cannot compile service "${name}": ${what}`, {
        hint: 'write "longrun", "oneshot" or "bundle" and a newline into it, or remove the directory',
      })
    }
  }
}

function badType(name: string, type: FileEntry): Finding {
  const text = textOf(type)
  const why = text.startsWith('\uFEFF')
    ? 'a byte order mark precedes the word'
    : text.includes('\r')
      ? 'a carriage return (CRLF) follows the word'
      : `${JSON.stringify(text.slice(0, 20))} is no type`
  const message = `cannot compile service "${name}": ${why}`
  return rejection('S6_BAD_TYPE', wholeOf(type), message, {
    hint: 'the file holds "longrun", "oneshot" or "bundle" and a newline, nothing else',
  })
}

/** `run`, `up` and `contents.d`: without them there is nothing to run, and s6-rc-compile stops. */
export function* missingFileRules({ services, profile }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    const missing =
      kind === 'longrun' && !exists(directory, 'run')
        ? 'run'
        : kind === 'oneshot' && !exists(directory, 'up')
          ? 'up'
          : kind === 'bundle' && !exists(directory, 'contents.d') && !exists(directory, 'contents')
            ? 'contents.d'
            : undefined
    if (missing === undefined || (missing === 'contents.d' && isUserBundle(name, profile))) continue
    yield rejection('S6_MISSING_FILE', wholeOf(directory), `cannot compile ${kind} "${name}": it has no "${missing}"`, {
      hint: MISSING_HINTS[missing],
    })
  }
}

const MISSING_HINTS = {
  run: 'add the script that becomes the service; the name is "run", without an ending',
  up: 'add an "up"; it may be an empty file',
  'contents.d': 'git does not keep an empty directory: put a file ".gitkeep" into it',
}

/** Files that s6-rc passes over, and files that are something else than s6-rc expects. */
export function* fileKindRules({ services }: Compilation): Iterable<Finding> {
  for (const service of services) {
    for (const [name, entry] of service.directory.entries) {
      if (name.startsWith('.')) continue
      const [kinds, shape] = FILES.get(name) ?? [[], 'any']
      if (service.kind !== undefined && !kinds.includes(service.kind)) {
        if (!isCalled(service, name)) yield stray(service, name, entry)
      } else if (entry.kind === 'dangling') yield danglingFile(entry)
      else if (entry.kind === 'denied') yield deniedEntry(entry)
      else if (shape !== 'any' && entry.kind !== shape) yield* wrongKind(service, name, entry, shape)
    }
  }
}

/** A script that lies beside the `up` that calls it by its path: s6-rc drops it, the image has it. */
function isCalled({ name, directory }: OwnService, file: string): boolean {
  const callers = ['up', 'down', 'reload', 'run', 'finish'].map((script) => fileAt(directory, script))
  return callers.some((caller) => caller !== undefined && textOf(caller).includes(`/s6-rc.d/${name}/${file}`))
}

function stray({ name, kind }: OwnService, file: string, entry: Entry): Finding {
  const known = FILES.get(file)?.[0]
  const why = known === undefined ? 's6-rc knows no such file' : `it is for a ${known.join(' or a ')} only`
  const hint = STRAY_HINTS.get(file)
  const message = `cannot use "${file}" in ${kind} "${name}": ${why}, and passes it over`
  return doubt('S6_STRAY_FILE', wholeOf(entry), message, hint === undefined ? {} : { hint })
}

function danglingFile(entry: Entry): Finding {
  const message = `cannot read "${entry.path}": its target does not exist, so that s6-rc takes the file for absent`
  return doubt('S6_UNREADABLE', wholeOf(entry), message)
}

function deniedEntry(entry: Entry): Finding {
  return mistake('S6_UNREADABLE', wholeOf(entry), `cannot read "${entry.path}": permission denied`)
}

function* wrongKind(service: OwnService, name: string, entry: Entry, shape: Shape): Iterable<Finding> {
  if (isPassedOver(service, name)) return
  const is = entry.kind === 'special' ? 'a special file' : `a ${entry.kind}`
  const message = `cannot compile service "${service.name}": "${name}" is ${is}, not a ${shape}`
  const isSignal = name === 'down-signal' || name === 'reload-signal'
  yield (isSignal ? mistake : rejection)('S6_WRONG_FILE_KIND', wholeOf(entry), message)
}

/** Files that s6-rc-compile never opens, because another one made them void. */
function isPassedOver(service: OwnService, name: string): boolean {
  if (name === 'pipeline-name') return !isLastConsumer(service)
  return (name === 'dependencies' || name === 'contents') && exists(service.directory, `${name}.d`)
}

/** Links and devices among the services themselves. */
export function* sourceEntryRules({ sources }: Compilation): Iterable<Finding> {
  for (const source of sources) {
    for (const [name, entry] of source.entries) {
      if (name.startsWith('.')) continue
      if (entry.kind === 'denied') yield deniedEntry(entry)
      if (entry.kind !== 'dangling') continue
      const message = `cannot compile source "${source.path || '.'}": "${name}" is a link to nothing`
      yield rejection('S6_UNREADABLE', wholeOf(entry), message)
    }
  }
}

/** `dependencies` beside `dependencies.d` (or `contents`): only the directory counts. */
export function* shadowedListRules({ services }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory } of services) {
    if (kind === undefined) continue
    const list = kind === 'bundle' ? 'contents' : 'dependencies'
    const [file, listDirectory] = [fileAt(directory, list), directoryAt(directory, `${list}.d`)]
    if (file === undefined || listDirectory === undefined) continue
    const kept = new Set(readNameDirectory(listDirectory).map((reference) => reference.name))
    const lost = readNameFile(file).filter((reference) => !kept.has(reference.name))
    const message = `cannot use "${list}" of "${name}": "${list}.d" exists, and s6-rc reads only that`
    if (lost.length === 0) yield doubt('S6_SHADOWED_LIST', wholeOf(file), message, { hint: 'remove the file' })
    else {
      const names = lost.map((reference) => `"${reference.name}"`).join(', ')
      yield mistake('S6_SHADOWED_LIST', lost[0]!.place, message, { hint: `add ${names} to "${list}.d"` })
    }
  }
}

/** A bundle of nothing, and a directory that git will lose. */
export function* emptyBundleRules({ services, profile }: Compilation): Iterable<Finding> {
  for (const { name, kind, directory, contents } of services) {
    if (kind !== 'bundle' || contents.length > 0 || isUserBundle(name, profile)) continue
    const list = directoryAt(directory, 'contents.d')
    if (list === undefined && fileAt(directory, 'contents') === undefined) continue
    if (list !== undefined && list.entries.size > 0) continue
    yield doubt(
      'S6_EMPTY_BUNDLE',
      wholeOf(list ?? directory),
      `cannot start anything by bundle "${name}": it is empty`,
      {
        hint: 'git does not keep an empty directory either: put a file ".gitkeep" into it if the bundle is meant to be empty',
      },
    )
  }
}
