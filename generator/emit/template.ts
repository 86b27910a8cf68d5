import type Handlebars from 'handlebars'
import runtime from 'handlebars/runtime.js'
import templates from '../generated/templates.js'
import { htmlComment, htmlText } from './quote/html.ts'
import { nginxComment, nginxIncludePath, nginxLiteral, nginxName, nginxWord } from './quote/nginx.ts'

// A private instance: what is registered here reaches nobody else's templates. Its types come from the full package,
// which is never loaded: the compiler in it would cost more than a whole render.
const handlebars = (runtime as unknown as typeof Handlebars).create()

const QUOTING = { htmlComment, htmlText, nginxComment, nginxIncludePath, nginxLiteral, nginxName, nginxWord }

for (const [name, quote] of Object.entries(QUOTING)) {
  handlebars.registerHelper(name, (value: unknown) => {
    if (typeof value === 'string') return quote(value)
    throw new Error(`cannot quote ${JSON.stringify(value)} with "${name}": it is no text`)
  })
}

const prepared = new Map(
  Object.entries(templates).map(([name, specification]) => [
    name,
    handlebars.template(specification as Parameters<typeof handlebars.template>[0]),
  ]),
)
for (const [name, template] of prepared) handlebars.registerPartial(name, template)

/**
 * The text that `templates/<name>.hbs` makes of the data. Templates are strict and escape nothing by themselves: each
 * value in them stands behind a quoting helper of its language (`{{nginxWord path}}`), and every template is also a
 * partial (`{{> nginx-refusals}}`).
 *
 * @throws Error where there is no such template, or the data lack a name that it uses.
 */
export function renderTemplate(name: string, data: object): string {
  const template = prepared.get(name)
  if (template === undefined) throw new Error(`cannot render "${name}": there is no templates/${name}.hbs`)
  return template(data)
}
