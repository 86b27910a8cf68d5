import Handlebars from 'handlebars'

/** Names for the variables of a template: its data, then the item of each list on the way in. */
const variable = (depth: number): string => `at${depth}`

/**
 * A template as the text of a JavaScript function `(at0, tools) => string`. Of Handlebars' language it
 * takes what is plain to read, and refuses the rest: `{{quoting path}}`, `{{#if path}}` with `{{else}}`,
 * `{{#each path}}`, `{{> partial}}` and comments. Handlebars' own code looks each name up by rules that these
 * templates do not need: the nginx.conf of 64 GPUs takes 6 ms with this, and took 16 with that.
 *
 * @throws Error for anything else in the template.
 */
export function templateCode(name: string, text: string): string {
  const { body } = Handlebars.parse(text)
  return `(at0, tools) => {\nconst { quote, holds, templates } = tools\nlet text = ''\n${statements(name, body, 0)}return text\n}`
}

function statements(name: string, body: readonly hbs.AST.Statement[], depth: number): string {
  return body.map((statement) => statementCode(name, statement, depth)).join('')
}

function statementCode(name: string, statement: hbs.AST.Statement, depth: number): string {
  switch (statement.type) {
    case 'ContentStatement':
      return append(JSON.stringify((statement as hbs.AST.ContentStatement).value))
    case 'CommentStatement':
      return ''
    case 'MustacheStatement': {
      const { path, params } = statement as hbs.AST.MustacheStatement
      return append(`quote.${(path as hbs.AST.PathExpression).original}(${value(name, params, depth)})`)
    }
    case 'PartialStatement': {
      const { name: partial, indent } = statement as hbs.AST.PartialStatement & { readonly indent: string }
      const called = JSON.stringify((partial as hbs.AST.PathExpression).original)
      return append(
        `${indent === '' ? '' : `${JSON.stringify(indent)} + `}templates[${called}](${variable(depth)}, tools)`,
      )
    }
    case 'BlockStatement':
      return blockCode(name, statement as hbs.AST.BlockStatement, depth)
    default:
      throw new Error(`cannot compile templates/${name}.hbs: there is no code for a ${statement.type}`)
  }
}

const append = (expression: string): string => (expression === '""' ? '' : `text += ${expression}\n`)

function blockCode(name: string, { path, params, program, inverse }: hbs.AST.BlockStatement, depth: number): string {
  const { original } = path as hbs.AST.PathExpression
  if (original === 'if') {
    const otherwise = inverse ? `else {\n${statements(name, inverse.body, depth)}}\n` : ''
    return `if (holds(${value(name, params, depth)})) {\n${statements(name, program.body, depth)}}\n${otherwise}`
  }
  if (original !== 'each' || inverse) {
    throw new Error(`cannot compile templates/${name}.hbs: there is no code for a block "${original}" like this one`)
  }
  const item = variable(depth + 1)
  const body = statements(name, program.body, depth + 1)
  return `for (const ${item} of ${value(name, params, depth)}) {\n${body}}\n`
}

/** The one argument of a helper or a block: a path below the innermost item. */
function value(name: string, params: readonly hbs.AST.Expression[], depth: number): string {
  const [path] = params as readonly hbs.AST.PathExpression[]
  if (params.length !== 1 || path?.type !== 'PathExpression' || path.depth !== 0 || path.data) {
    throw new Error(`cannot compile templates/${name}.hbs: "${path?.original}" is no path of the innermost item`)
  }
  return [variable(depth), ...path.parts.map((part) => JSON.stringify(part))].reduce((code, key) => `${code}[${key}]`)
}
