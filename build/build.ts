/**
 * Makes dist/: the command line (`machinegen.cjs` and the `commands` that it loads), the library (`index.js`, `types/`)
 * and the programs that run in a machine. `npm run build`; what is there already stays usable until the last moment.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { PROGRAMS } from '../generator/cli/build-facts.ts'

const DIST = 'dist'
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

/** A large constant is one string until it is needed: V8 reads that faster than an object literal of the same content. */
const jsonAsText: Plugin = {
  name: 'json-as-text',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.json$/ }, ({ path }) => {
      const text = JSON.stringify(JSON.parse(readFileSync(path, 'utf8')))
      return { contents: `export default JSON.parse(${JSON.stringify(text)})`, loader: 'js' }
    })
  },
}

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  minify: true,
  write: false,
  logLevel: 'warning',
  legalComments: 'none',
  // Its CommonJS files hold together; of these, a bundle takes what it uses.
  alias: { yaml: './node_modules/yaml/browser/dist/index.js' },
  plugins: [jsonAsText],
}

/** Packages that still say `require` need one in an ES module. */
const REQUIRE_BANNER = `import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url);`

/** `commands` is one expression, a function like the one that Node puts around a CommonJS file. */
const WRAPPER = { head: '(function(exports,require,module){', tail: '\n})' }

/** Stands for the hash until there is something to hash; as long as one. */
const NO_HASH = '0'.repeat(16)

/** What few commands need stays out of the bundle that all others load; it is asked for by `require`. */
const ownBundles: Plugin = {
  name: 'own-bundles',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/runtime\/watch\/watch\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `./watch-${NO_HASH}.cjs`, external: true } : undefined,
    )
  },
}

async function bundle(entry: string, options: BuildOptions): Promise<string> {
  const result = await build({ ...common, entryPoints: [entry], outfile: `${DIST}/out.js`, ...options })
  return result.outputFiles![0]!.text
}

const esm: BuildOptions = {
  format: 'esm',
  banner: { js: REQUIRE_BANNER },
  define: { MACHINEGEN_VERSION: JSON.stringify(version) },
}

async function buildPrograms(): Promise<Map<string, string>> {
  const programs = await Promise.all(
    PROGRAMS.map(async (name) => [`${name}.js`, await bundle(`runtime/${name}/main.ts`, esm)] as const),
  )
  return new Map(programs)
}

async function buildCommandLine(programs: ReadonlyMap<string, string>): Promise<Map<string, string>> {
  const defines = {
    MACHINEGEN_VERSION: JSON.stringify(version),
    MACHINEGEN_BUILD: JSON.stringify(NO_HASH),
    MACHINEGEN_PROGRAM_HASHES: JSON.stringify(JSON.stringify(programHashes(programs))),
    // yargs and chokidar look for files beside theirs, which a bundle has not.
    'import.meta.url': '"file:///machinegen/bundle.js"',
  }
  const wrapped = (entry: string) =>
    bundle(entry, {
      format: 'cjs',
      banner: { js: WRAPPER.head },
      footer: { js: WRAPPER.tail },
      supported: { 'dynamic-import': false },
      define: defines,
      plugins: [jsonAsText, ownBundles],
    })
  const commands = await wrapped('generator/cli/commands.ts')
  const render = await wrapped('generator/cli/render-alone.ts')
  const start = await wrapped('generator/cli/starter.ts')
  const hash = hashOf([commands, render, start, ...programs.values()])
  const starter = await bundle('generator/cli/machinegen.ts', {
    format: 'cjs',
    banner: { js: '#!/usr/bin/env node' },
    define: defines,
  })
  const watch = await bundle('runtime/watch/watch.ts', { format: 'cjs', define: defines })
  const filled = (text: string) => text.replaceAll(NO_HASH, hash)
  return new Map([
    [`commands-${hash}.js`, filled(commands)],
    [`render-${hash}.js`, filled(render)],
    [`start-${hash}.js`, filled(start)],
    [`watch-${hash}.cjs`, watch],
    ['machinegen.cjs', filled(starter)],
  ])
}

function programHashes(programs: ReadonlyMap<string, string>): Record<string, string> {
  const hashes = [...programs].map(([file, text]) => [
    file.replace(/\.js$/, ''),
    createHash('sha256').update(text).digest('hex'),
  ])
  return Object.fromEntries(hashes)
}

function hashOf(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text).update('\0')
  return hash.digest('hex').slice(0, NO_HASH.length)
}

function write(name: string, text: string, mode = 0o644): void {
  const path = `${DIST}/${name}`
  writeFileSync(`${path}.new`, text)
  chmodSync(`${path}.new`, mode)
  renameSync(`${path}.new`, path)
}

function run(words: readonly string[], what: string): void {
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`cannot build ${what}: exit code ${status}`)
}

/** In a process of its own: what V8 compiled for this one must not get into it. */
function writeCodeCaches(bundles: readonly string[]): void {
  for (const bundle of bundles) run(['--import', 'tsx', 'build/code-cache.ts', bundle, ...bundles], 'the code cache')
}

function writeTypes(): void {
  rmSync(`${DIST}/types`, { recursive: true, force: true })
  run(['node_modules/typescript/bin/tsc', '-p', 'build/tsconfig.types.json'], 'the types')
}

function removeOldBundles(kept: readonly string[]): void {
  for (const name of readdirSync(DIST)) {
    const bundle = /^(?:commands|render|start|watch)-[0-9a-f]+(?=\.)/.exec(name)?.[0]
    if (bundle !== undefined && !kept.some((file) => file.startsWith(`${bundle}.`))) rmSync(`${DIST}/${name}`)
  }
}

run(['--import', 'tsx', 'build/generate.ts'], 'what is derived from the schema')
mkdirSync(DIST, { recursive: true })
const programs = await buildPrograms()
const { 'machinegen.cjs': starter, ...bundles } = Object.fromEntries(await buildCommandLine(programs))
for (const [name, text] of programs) write(name, text, 0o755)
write('index.js', await bundle('generator/index.ts', esm))
for (const [name, text] of Object.entries(bundles)) write(name, text)
writeCodeCaches(
  Object.keys(bundles)
    .filter((name) => name.endsWith('.js'))
    .map((name) => `${DIST}/${name}`),
)
writeTypes()
// Last: it names the bundles.
write('machinegen.cjs', starter!, 0o755)
removeOldBundles(Object.keys(bundles))
