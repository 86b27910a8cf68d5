import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { PlannedCustomNodes } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { runCommand } from '../framework/run-command.ts'

/** The Python that ComfyUI runs with. */
export interface Interpreter {
  readonly executable: string
  readonly version: string
  readonly prefix: string
  /** Where packages are installed. */
  readonly packages: string
  readonly hasPip: boolean
  /** The distribution keeps its packages for itself (PEP 668). */
  readonly isManaged: boolean
  /** The packages that stay as they are, with their versions. */
  readonly frozen: Readonly<Record<string, string>>
  /** Names this set of installed packages: another container, another image, another volume is another one. */
  readonly identity: string
}

/** What belongs to the GPU and to the image: a node that wants others of these would break all the others. */
const FROZEN = ['torch', 'torchvision', 'torchaudio', 'numpy', 'xformers'] as const

const SURVEY = `
import sys
sys.path = [p for p in sys.path if p]
import importlib.util, json, os, sysconfig
from importlib import metadata
frozen = {}
for name in ${JSON.stringify(FROZEN)}:
    try:
        frozen[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
managed = sys.prefix == sys.base_prefix and os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
print(json.dumps({"executable": sys.executable, "version": sys.version.split()[0], "prefix": sys.prefix,
                  "packages": sysconfig.get_path("purelib"), "hasPip": importlib.util.find_spec("pip") is not None,
                  "isManaged": managed, "frozen": frozen}))
`

const TIMEOUT_MS = 60_000

/** Asks the Python of ComfyUI about itself. Throws where it cannot be run. */
export async function surveyPython(python: NonNullable<PlannedCustomNodes['python']>): Promise<Interpreter> {
  const survey = (await ask(python, SURVEY, '')) as Omit<Interpreter, 'identity'>
  return { ...survey, identity: identityOf(survey.packages) }
}

/** A random mark among the packages: it goes where they go, and is gone when they are. */
function identityOf(packages: string): string {
  const file = `${packages}/.machinegen-packages`
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    const identity = randomBytes(8).toString('hex')
    try {
      writeFileAtomically(file, `${identity}\n`, 0o644)
      return identity
    } catch {
      // Read-only: whatever could be installed will say so.
      return 'unmarked'
    }
  }
}

/** What Python says of a node. */
export interface Verdict {
  /** Its requirements that the installed packages do not meet. */
  readonly unmet: readonly string[]
  /** Why Python cannot read its `__init__.py`. */
  readonly syntax: string | null
}

const VERDICT = `
import sys
sys.path = [p for p in sys.path if p]
import ast, json, os
from importlib import metadata
try:
    from packaging.requirements import Requirement
except ImportError:
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:
        Requirement = None

def unmet_of(path, seen):
    found = []
    if Requirement is None or path in seen or not os.path.isfile(path):
        return found
    seen.add(path)
    with open(path, encoding="utf-8-sig", errors="replace") as lines:
        text = lines.read().replace("\\\\\\n", "")
    for line in text.splitlines():
        line = line.split(" #")[0].strip()
        if line.startswith(("-r ", "--requirement ")):
            found += unmet_of(os.path.join(os.path.dirname(path), line.split(None, 1)[1]), seen)
        if not line or line[0] in "#-":
            continue
        try:
            requirement = Requirement(line.split(" --")[0])
        except Exception:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(line + " (not installed)")
            continue
        if version and not requirement.specifier.contains(version, prereleases=True):
            found.append(line + " (installed: " + version + ")")
    return found

answer = {}
for node in json.load(sys.stdin):
    syntax = None
    try:
        with open(os.path.join(node["path"], "__init__.py"), "rb") as file:
            ast.parse(file.read())
    except (SyntaxError, ValueError) as error:
        syntax = str(error)
    except OSError as error:
        syntax = error.strerror
    answer[node["path"]] = {"unmet": unmet_of(node["requirements"], set()) if node["requirements"] else [], "syntax": syntax}
print(json.dumps(answer))
`

/** Asks Python about nodes, by their directories, at once: nothing of them is run. */
export async function judgeNodes(
  python: NonNullable<PlannedCustomNodes['python']>,
  nodes: readonly { readonly path: string; readonly requirements: string | null }[],
): Promise<Readonly<Record<string, Verdict>>> {
  if (nodes.length === 0) return {}
  return (await ask(python, VERDICT, JSON.stringify(nodes))) as Readonly<Record<string, Verdict>>
}

async function ask(
  { command, directory }: NonNullable<PlannedCustomNodes['python']>,
  program: string,
  input: string,
): Promise<unknown> {
  const lines: string[] = []
  const result = await runCommand([command, '-c', program], {
    ...(command.includes('/') && !command.startsWith('/') ? { cwd: directory } : {}),
    input,
    timeoutMs: TIMEOUT_MS,
    onLine: (line, stream) => {
      if (stream === 'stdout') lines.push(line)
    },
  })
  if (result.code === 0) {
    try {
      return JSON.parse(lines.at(-1) ?? '')
    } catch {
      throw new Error(`cannot ask the Python of ComfyUI ("${command}"): it answers something else`)
    }
  }
  const why = result.problem ?? result.lastLines.at(-1) ?? `it ends with ${result.code}`
  throw new Error(`cannot ask the Python of ComfyUI ("${command}"): ${why}`)
}
