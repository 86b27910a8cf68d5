/** What a node class is, and how /object_info describes it. */

/** `[type or list of choices, options]`, as INPUT_TYPES has it. */
export type InputSpec = readonly [string | readonly string[], Readonly<Record<string, unknown>>?]

export interface InputTypes {
  readonly required: Readonly<Record<string, InputSpec>>
  readonly optional?: Readonly<Record<string, InputSpec>>
  readonly hidden?: Readonly<Record<string, string>>
}

/** What nodes hand on in place of tensors: the size of a batch of images, and what they would show. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly count: number
  readonly seed: string
}

/** What node classes need to know of the installation. */
export interface Library {
  models(type: string): readonly string[]
  inputImages(): readonly string[]
  readonly inputDirectory: string
}

export interface NodeTools {
  readonly library: Library
  /** One step of work is done; tells the client if the real node has a progress bar. */
  step(value: number, total: number): Promise<void>
  loadModel(name: string): void
  saveImages(picture: Picture, prefix: string, kind: 'output' | 'temp'): Record<string, unknown>
}

export interface NodeResult {
  readonly outputs: readonly unknown[]
  readonly ui?: Record<string, unknown>
}

export interface NodeClass {
  readonly name: string
  readonly displayName: string
  readonly category: string
  readonly output: readonly string[]
  readonly outputNode: boolean
  inputs(library: Library): InputTypes
  /** VALIDATE_INPUTS: true, or why the value is no good. Replaces the check against the list of choices. */
  validate?(input: string, value: unknown, library: Library): true | string
  run(values: Readonly<Record<string, unknown>>, tools: NodeTools): NodeResult | Promise<NodeResult>
}

/** What /object_info says of a class. */
export function describeNode(node: NodeClass, library: Library): Record<string, unknown> {
  const input = node.inputs(library)
  return {
    input,
    input_order: Object.fromEntries(Object.entries(input).map(([kind, specs]) => [kind, Object.keys(specs)])),
    output: node.output,
    output_is_list: node.output.map(() => false),
    output_name: node.output,
    name: node.name,
    display_name: node.displayName,
    description: '',
    python_module: 'nodes',
    category: node.category,
    output_node: node.outputNode,
  }
}
