/** Checks a prompt before it is queued, with the errors of execution.py's `validate_prompt` (v0.3.64). */
import type { InputSpec, Library, NodeClass } from './node-class.ts'
import { NODE_CLASSES } from './node-classes.ts'
import type { Prompt } from './prompt-queue.ts'

export interface PromptError {
  readonly type: string
  readonly message: string
  readonly details: string
  readonly extra_info: Record<string, unknown>
}

export interface NodeErrors {
  readonly errors: readonly PromptError[]
  readonly dependent_outputs: string[]
  readonly class_type: string
}

export interface Validation {
  /** Set when nothing of the prompt can run. */
  readonly error?: PromptError
  readonly outputs: readonly string[]
  readonly nodeErrors: Record<string, NodeErrors>
}

type Verdict = { readonly valid: boolean; readonly errors: readonly PromptError[] }

const problem = (type: string, message: string, details: string, extraInfo: Record<string, unknown> = {}) => ({
  type,
  message,
  details,
  extra_info: extraInfo,
})

/** Converts numbers in place, as the real one does, and says which outputs can run. */
export function validatePrompt(prompt: Prompt, library: Library): Validation {
  const outputs: string[] = []
  for (const [id, node] of Object.entries(prompt)) {
    const refused = checkClass(id, node)
    if (refused) return { error: refused, outputs: [], nodeErrors: {} }
    if (NODE_CLASSES.get(node.class_type)?.outputNode) outputs.push(id)
  }
  if (outputs.length === 0) {
    return { error: problem('prompt_no_outputs', 'Prompt has no outputs', ''), outputs: [], nodeErrors: {} }
  }
  const verdicts = new Map<string, Verdict>()
  const nodeErrors: Record<string, NodeErrors> = {}
  const good: string[] = []
  const lines: string[] = []
  for (const output of outputs) {
    const verdict = validateNode(prompt, output, library, verdicts, 'exception_during_validation')
    if (verdict.valid) good.push(output)
    else {
      lines.push(...verdict.errors.map((error) => `${error.message}: ${error.details}`))
      collect(prompt, output, verdicts, nodeErrors)
    }
  }
  if (good.length > 0) return { outputs: good, nodeErrors }
  const message = 'Prompt outputs failed validation'
  return { error: problem('prompt_outputs_failed_validation', message, lines.join('\n')), outputs: [], nodeErrors }
}

function checkClass(id: string, node: unknown): PromptError | undefined {
  const details = `Node ID '#${id}'`
  const classType = (node as { class_type?: unknown } | null)?.class_type
  if (classType === undefined) {
    return problem('invalid_prompt', 'Cannot execute because a node is missing the class_type property.', details)
  }
  if (NODE_CLASSES.has(String(classType))) return undefined
  return problem('invalid_prompt', `Cannot execute because node ${classType} does not exist.`, details)
}

/** Adds the errors of all invalid nodes seen so far; nodes that are invalid only because of others have none of their own. */
function collect(
  prompt: Prompt,
  output: string,
  verdicts: ReadonlyMap<string, Verdict>,
  nodeErrors: Record<string, NodeErrors>,
): void {
  for (const [id, verdict] of verdicts) {
    if (verdict.valid || verdict.errors.length === 0) continue
    nodeErrors[id] ??= { errors: verdict.errors, dependent_outputs: [], class_type: prompt[id]?.class_type ?? '' }
    nodeErrors[id].dependent_outputs.push(output)
  }
}

function validateNode(
  prompt: Prompt,
  id: string,
  library: Library,
  verdicts: Map<string, Verdict>,
  exception: string,
): Verdict {
  const known = verdicts.get(id)
  if (known) return known
  const node = prompt[id]
  const nodeClass = node && NODE_CLASSES.get(node.class_type)
  if (!node || !nodeClass) {
    const message = exception.includes('inner')
      ? 'Exception when validating inner node'
      : 'Exception when validating node'
    const extra = { exception_type: 'KeyError', exception_message: `'${id}'`, traceback: [] }
    return { valid: false, errors: [problem(exception, message, `'${id}'`, extra)] }
  }
  // A placeholder keeps a cycle from recursing for ever; the real one fails with a RecursionError.
  verdicts.set(id, { valid: false, errors: [] })
  const errors: PromptError[] = []
  let upstreamValid = true
  const types = nodeClass.inputs(library)
  for (const [name, spec] of Object.entries({ ...types.required, ...types.optional })) {
    const value = node.inputs?.[name]
    if (Array.isArray(value)) {
      const linked = validateLink(prompt, name, spec, value, library, verdicts)
      if (linked.error) errors.push(linked.error)
      upstreamValid &&= linked.valid
    } else if (value !== undefined) {
      const converted = convert(name, spec, value)
      if ('error' in converted) errors.push(converted.error)
      else {
        node.inputs[name] = converted.value
        const wrong = checkValue(nodeClass, name, spec, converted.value, library)
        if (wrong) errors.push(wrong)
      }
    } else if (name in types.required) {
      errors.push(problem('required_input_missing', 'Required input is missing', name, { input_name: name }))
    }
  }
  const verdict = { valid: upstreamValid && errors.length === 0, errors }
  verdicts.set(id, verdict)
  return verdict
}

function validateLink(
  prompt: Prompt,
  name: string,
  spec: InputSpec,
  link: readonly unknown[],
  library: Library,
  verdicts: Map<string, Verdict>,
): { valid: boolean; error?: PromptError } {
  const about = { input_name: name, input_config: spec }
  if (link.length !== 2) {
    const message = 'Bad linked input, must be a length-2 list of [node_id, slot_index]'
    return { valid: true, error: problem('bad_linked_input', message, name, { ...about, received_value: link }) }
  }
  const [source, slot] = [String(link[0]), Number(link[1])]
  const received = NODE_CLASSES.get(prompt[source]?.class_type ?? '')?.output[slot]
  const wanted = spec[0]
  if (prompt[source] && received !== wanted && typeof wanted === 'string') {
    const details = `${name}, received_type(${received}) mismatch input_type(${wanted})`
    const extra = { ...about, received_type: received, linked_node: link }
    return {
      valid: true,
      error: problem('return_type_mismatch', 'Return type mismatch between linked nodes', details, extra),
    }
  }
  const verdict = validateNode(prompt, source, library, verdicts, 'exception_during_inner_validation')
  if (!prompt[source]) return { valid: false, error: verdict.errors[0] as PromptError }
  return { valid: verdict.valid }
}

function convert(name: string, spec: InputSpec, value: unknown): { value: unknown } | { error: PromptError } {
  const type = spec[0]
  if (type === 'STRING') return { value: String(value) }
  if (type !== 'INT' && type !== 'FLOAT') return { value }
  const number = typeof value === 'boolean' ? Number(value) : Number.parseFloat(String(value))
  const acceptable = Number.isFinite(number) && /^\s*[-+]?[\d.]+(e[-+]?\d+)?\s*$/i.test(String(Number(value)))
  if (acceptable) return { value: type === 'INT' ? Math.trunc(number) : number }
  const reason =
    type === 'INT'
      ? `invalid literal for int() with base 10: '${value}'`
      : `could not convert string to float: '${value}'`
  const extra = { input_name: name, input_config: spec, received_value: value, exception_message: reason }
  const message = `Failed to convert an input value to a ${type} value`
  return { error: problem('invalid_input_type', message, `${name}, ${value}, ${reason}`, extra) }
}

function checkValue(
  nodeClass: NodeClass,
  name: string,
  spec: InputSpec,
  value: unknown,
  library: Library,
): PromptError | undefined {
  const [type, options = {}] = spec
  const extra = { input_name: name, input_config: spec, received_value: value }
  if (typeof options.min === 'number' && Number(value) < options.min) {
    return problem('value_smaller_than_min', `Value ${value} smaller than min of ${options.min}`, name, extra)
  }
  if (typeof options.max === 'number' && Number(value) > options.max) {
    return problem('value_bigger_than_max', `Value ${value} bigger than max of ${options.max}`, name, extra)
  }
  if (nodeClass.validate) {
    const verdict = nodeClass.validate(name, value, library)
    if (verdict === true) return undefined
    return problem('custom_validation_failed', 'Custom validation failed for node', `${name} - ${verdict}`, extra)
  }
  if (typeof type === 'string' || type.includes(String(value))) return undefined
  // A list of hundreds of model files is not sent back.
  const isLong = type.length > 20
  const list = isLong ? `(list of length ${type.length})` : `[${type.map((choice) => `'${choice}'`).join(', ')}]`
  return problem('value_not_in_list', 'Value not in list', `${name}: '${value}' not in ${list}`, {
    ...extra,
    input_config: isLong ? null : spec,
  })
}
