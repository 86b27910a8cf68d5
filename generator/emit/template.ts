import templates from '../generated/templates.js'
import { htmlComment, htmlText } from './quote/html.ts'
import { nginxComment, nginxIncludePath, nginxLiteral, nginxName, nginxWord } from './quote/nginx.ts'

const LANGUAGES = { htmlComment, htmlText, nginxComment, nginxIncludePath, nginxLiteral, nginxName, nginxWord }

const quote = Object.fromEntries(Object.entries(LANGUAGES).map(([name, quoted]) => [name, ofText(name, quoted)]))

function ofText(name: string, quoted: (text: string) => string): (value: unknown) => string {
  return (value) => {
    if (typeof value === 'string') return quoted(value)
    throw new Error(`cannot quote ${JSON.stringify(value)} with "${name}": it is no text`)
  }
}

/** An empty list is nothing. A name that the data lack is a mistake, not nothing. */
function isSomething(value: unknown): boolean {
  if (value === undefined) throw new Error('cannot decide an "#if" of a template: the data lack its name')
  return Array.isArray(value) ? value.length > 0 : Boolean(value)
}

/**
 * The text that `templates/<name>.hbs` makes of the data. Each value in a template stands behind a quoting function of
 * its language (`{{nginxWord path}}`), and every template is also a partial (`{{> nginx-refusals}}`). What of Handlebars
 * there is: build/template-code.ts.
 *
 * @throws Error where there is no such template, or the data lack a name that it uses.
 */
export function renderTemplate(name: string, data: object): string {
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined
  if (template === undefined) throw new Error(`cannot render "${name}": there is no templates/${name}.hbs`)
  return template(data, { quote, holds: isSomething, templates })
}
