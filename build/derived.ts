import { readdirSync, readFileSync } from 'node:fs'
import Ajv from 'ajv'
import standaloneCode from 'ajv/dist/standalone/index.js'
import { compile as compileTypes } from 'json-schema-to-typescript'
import { ENVIRONMENT_TABLE } from '../generator/load/environment-table.ts'
import { configurationDoc } from './configuration-doc.ts'
import { templateCode } from './template-code.ts'

export interface DerivedFile {
  readonly path: string
  readonly content: string
  /** Committed files are checked for staleness by a test. */
  readonly committed: boolean
}

const SCHEMA_FILE = 'schema/machine.schema.json'

/** All files that are made from the schema and the templates, as they should be. */
export async function generateDerived(): Promise<DerivedFile[]> {
  const schemaText = readFileSync(SCHEMA_FILE, 'utf8')
  const schema = JSON.parse(schemaText)
  return [
    { path: 'schema/machine.ts', content: await machineTypes(schema), committed: true },
    { path: 'docs/configuration.md', content: configurationDoc(schema, ENVIRONMENT_TABLE), committed: true },
    { path: 'generator/generated/validate-machine.js', content: validator(schema), committed: false },
    { path: 'generator/generated/validate-machine.d.ts', content: VALIDATOR_TYPES, committed: false },
    { path: 'generator/generated/schema-texts.ts', content: schemaTexts(schema), committed: false },
    { path: 'generator/generated/templates.js', content: templates(), committed: false },
    { path: 'generator/generated/templates.d.ts', content: TEMPLATE_TYPES, committed: false },
    { path: 'generator/generated/static-files.ts', content: staticFiles(), committed: false },
  ]
}

/** Types of a machine file after validation: whatever has a default is there. */
async function machineTypes(schema: object): Promise<string> {
  return compileTypes(withDefaultsRequired(schema) as Parameters<typeof compileTypes>[0], 'Machine', {
    bannerComment:
      '/** Made from schema/machine.schema.json by `npm run generate`: edit that file. Fields with a default are set. */',
    style: { semi: false, singleQuote: true, printWidth: 120 },
    additionalProperties: false,
    ignoreMinAndMaxItems: true,
  })
}

type SchemaNode = { [keyword: string]: unknown }

function withDefaultsRequired(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withDefaultsRequired)
  if (typeof node !== 'object' || node === null) return node
  const schema = node as SchemaNode
  // A description beside a $ref would make json-schema-to-typescript repeat the whole type under a numbered name.
  if (typeof schema.$ref === 'string') return { $ref: schema.$ref }
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withDefaultsRequired(value)]))
  const properties = schema.properties as Record<string, SchemaNode> | undefined
  if (properties === undefined) return copy
  const withDefault = Object.keys(properties).filter((key) => properties[key]?.default !== undefined)
  return { ...copy, required: [...((schema.required as string[] | undefined) ?? []), ...withDefault] }
}

/** ajv's checks as plain code: compiling the schema at run time would cost more than the whole render. */
function validator(schema: SchemaNode): string {
  // The schema uses none of what 2020-12 added (ajv refuses a keyword that it does not know), and the class for it makes
  // code that keeps track of what has been evaluated.
  const ajv = new Ajv.default({
    allErrors: true,
    messages: false,
    useDefaults: true,
    // A definition is one function, not a copy at each of its places.
    inlineRefs: false,
    allowUnionTypes: true,
    code: { source: true, esm: true },
  })
  for (const keyword of ['x-machinegen-secret', 'x-machinegen-path']) ajv.addKeyword(keyword)
  const { $schema: _, ...checked } = withoutProse(schema) as SchemaNode
  const code = standaloneCode
    .default(ajv, ajv.compile(checked))
    .replace(NOTED_ERROR, 'vErrors = failed(vErrors, $2);')
    .replace(UNREAD_PATH, '')
  // ajv leaves `require` in the code of an ES module. How a CommonJS default arrives depends on the loader.
  const modules = [...new Set([...code.matchAll(REQUIRED_DEFAULT)].map((match) => match[1] ?? ''))]
  const imports = modules.map((name, index) => `import module${index} from ${JSON.stringify(`${name}.js`)}\n`).join('')
  const byName = (_: string, name: string) =>
    `(module${modules.indexOf(name)}.default ?? module${modules.indexOf(name)})`
  return imports + FAILED + code.replaceAll(REQUIRED_DEFAULT, byName)
}

const REQUIRED_DEFAULT = /require\("([^"]+)"\)\.default/g

/** How ajv notes an error, at each of three hundred places: a third of its code, which every render loads and never runs. */
const NOTED_ERROR =
  /const (err\d+) = (\{instancePath.+?\});if\(vErrors === null\)\{vErrors = \[\1\];\}else \{vErrors\.push\(\1\);\}/g

/** Where in the schema an error is from: nobody asks. */
const UNREAD_PATH = /,schemaPath:"(?:[^"\\]|\\.)*"/g

/** The same in one place. */
const FAILED = `function failed(errors, error) {
  if (errors === null) return [error]
  errors.push(error)
  return errors
}
`

/** As texts, which are parsed when they are needed: the whole schema is three times as long as what a render reads of it. */
function schemaTexts(schema: SchemaNode): string {
  const texts = { wholeSchema: schema, schemaWithoutProse: withoutProse(schema) }
  return Object.entries(texts)
    .map(([name, value]) => `export const ${name} = ${JSON.stringify(JSON.stringify(value))}\n`)
    .join('')
}

/** Without what no check reads. */
function withoutProse(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutProse)
  if (typeof node !== 'object' || node === null) return node
  const isProse = ([key, value]: [string, unknown]) =>
    (key === 'description' && typeof value === 'string') || (key === 'examples' && Array.isArray(value))
  return Object.fromEntries(
    Object.entries(node)
      .filter((entry) => !isProse(entry))
      .map(([key, value]) => [key, withoutProse(value)]),
  )
}

function templates(): string {
  const entries = readdirSync('templates')
    .filter((file) => file.endsWith('.hbs'))
    .sort()
    .map((file) => {
      const name = file.slice(0, -'.hbs'.length)
      return `  ${JSON.stringify(name)}: ${templateCode(name, readFileSync(`templates/${file}`, 'utf8'))}`
    })
  return `export default {\n${entries.join(',\n')}\n}\n`
}

/** The files of rootfs/ that the compiler emits as they are, by their path in a machine. The others are for the image. */
function staticFiles(): string {
  const entries = EMITTED_FILES.map(
    (path) => `  ${JSON.stringify(path)}: ${JSON.stringify(readFileSync(`rootfs${path}`, 'utf8'))},`,
  )
  return `export const staticFiles = {\n${entries.join('\n')}\n} as const\n`
}

const EMITTED_FILES = ['/usr/lib/machinegen/service.sh']

const VALIDATOR_TYPES = `/** What ajv's generated code says of one failed keyword. */
export interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly params: Record<string, unknown>
  /** Set where a key is checked, not a value. */
  readonly propertyName?: string
}
declare const validate: ((data: unknown) => boolean) & { errors?: SchemaError[] | null }
export default validate
`

const TEMPLATE_TYPES = `export interface TemplateTools {
  /** By the name of a language: a value of it as its text. */
  readonly quote: Readonly<Record<string, (value: unknown) => string>>
  /** Decides for \`#if\`. */
  readonly holds: (value: unknown) => boolean
  readonly templates: Readonly<Record<string, Template>>
}
export type Template = (data: object, tools: TemplateTools) => string
declare const templates: Readonly<Record<string, Template>>
export default templates
`
