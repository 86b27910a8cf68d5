import type { Compilation, OwnService } from '../compilation.ts'
import { doubt, type Finding, inText, mistake, wholeOf } from '../finding.ts'
import { programOf } from '../program.ts'
import { type DirectoryEntry, directoryAt, type FileEntry, fileAt, textOf } from '../source-tree.ts'

/** What keeps an empty directory in a repository. */
const KEEPERS = new Set(['.gitkeep', '.keep', '.gitignore', '.empty'])
/** s6-envdir reads this much of a value unless told otherwise (`-L`). */
const VALUE_LIMIT_BYTES = 4095

/** `env/` gives every variable it seems to give. */
export function* environmentRules({ services }: Compilation): Iterable<Finding> {
  for (const service of services) {
    if (service.kind !== 'longrun') continue
    yield* contenvRule(service)
    const environment = directoryAt(service.directory, 'env')
    if (environment === undefined) continue
    if (environment.linked) yield linkedEnvironment(service, environment)
    for (const [name, entry] of environment.entries) {
      if (name.startsWith('.') || name.includes('=')) {
        if (KEEPERS.has(name)) continue
        const message = `cannot set ${JSON.stringify(name)} for "${service.name}": s6-envdir skips names with "=" or a leading "."`
        yield doubt('S6_ENVIRONMENT', wholeOf(entry), message, {
          hint: 'the file name is the variable, its text the value',
        })
      } else if (entry.kind === 'directory') {
        const message = `cannot read the environment of "${service.name}": "${name}" is a directory, and s6-envdir fails on it`
        yield mistake('S6_ENVIRONMENT', wholeOf(entry), message)
      } else if (entry.kind === 'file') yield* valueRules(service, name, entry)
    }
  }
}

function linkedEnvironment({ name }: OwnService, environment: DirectoryEntry): Finding {
  const message = `cannot rely on "env" of "${name}": it is copied as a link, and the copy lies elsewhere`
  return doubt('S6_ENVIRONMENT', wholeOf(environment), message, { hint: 'make it a directory' })
}

function* valueRules(service: OwnService, name: string, file: FileEntry): Iterable<Finding> {
  if (file.bytes.length === 0) {
    const message = `cannot set "${name}" of "${service.name}" to nothing: an empty file removes the variable`
    yield doubt('S6_ENVIRONMENT', wholeOf(file), message, { hint: 'for an empty value write a single newline into it' })
    return
  }
  const options = envdirOptions(service)
  if (options === undefined) return
  const text = textOf(file)
  const lineEnd = text.indexOf('\n')
  if (!options.includes('f') && lineEnd !== -1 && lineEnd < text.length - 1) {
    const message = `cannot keep all lines of "${name}" of "${service.name}": s6-envdir reads the first`
    yield doubt('S6_ENVIRONMENT', inText(file, lineEnd + 1, text.length), message, {
      hint: 'call it as "s6-envdir -fL"',
    })
  } else if (!options.includes('L') && (file.truncated || file.bytes.length > VALUE_LIMIT_BYTES + 1)) {
    const message = `cannot keep all of "${name}" of "${service.name}": s6-envdir reads ${VALUE_LIMIT_BYTES} bytes`
    yield doubt('S6_ENVIRONMENT', wholeOf(file), message, { hint: 'call it as "s6-envdir -fL"' })
  }
}

/** The option letters `run` calls s6-envdir with; undefined where it does not read `env/`. */
function envdirOptions({ directory }: OwnService): string | undefined {
  const run = fileAt(directory, 'run')
  if (run === undefined) return undefined
  const program = programOf(run)
  const call = program.calls('s6-envdir')
  if (call === undefined) return undefined
  const rest = program.words.slice(call + 1)
  const end = rest.findIndex((word) => !word.value.startsWith('-'))
  if (!/^(?:\.\/)?env\/?$/.test(rest[end]?.value ?? '')) return undefined
  return rest
    .slice(0, end)
    .map((word) => word.value.slice(1))
    .join('')
}

/** `with-contenv` empties the environment first: what was set before it is lost. */
function* contenvRule({ name, directory }: OwnService): Iterable<Finding> {
  const run = fileAt(directory, 'run')
  const program = run === undefined ? undefined : programOf(run)
  if (run === undefined || program?.language !== 'execline') return
  const contenv = program.calls('with-contenv')
  if (contenv === undefined) return
  const setter = ['export', 's6-envdir', 'envfile'].find((command) => (program.calls(command) ?? contenv) < contenv)
  if (setter === undefined) return
  const place = inText(run, program.words[contenv]!.start, program.words[contenv]!.end)
  const message = `cannot keep what "${setter}" sets in "run" of "${name}": "with-contenv" after it empties the environment`
  yield mistake('S6_ENVIRONMENT', place, message, { hint: 'put "with-contenv" first' })
}
