/** Runs a prompt's nodes and tells its client about it, in the order of execution.py's `PromptExecutor` (v0.3.64). */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CUDA_FAULT_MESSAGE, type Knobs, outOfMemoryMessage } from '../knobs.ts'
import type { Log } from './log.ts'
import type { Library, NodeResult, NodeTools, Picture } from './node-class.ts'
import { NODE_CLASSES } from './node-classes.ts'
import type { Outcome, Prompt, QueueItem } from './prompt-queue.ts'

export interface Executor {
  execute(item: QueueItem): Promise<Outcome>
  /** Stops the running prompt at its next step. */
  interrupt(): void
  /** The client of the running prompt, or of the last one, and the node that is being executed. */
  current(): { clientId: string | undefined; nodeId: string | undefined }
  /** Forgets cached results. */
  reset(): void
}

export interface Surroundings {
  readonly knobs: Knobs
  readonly log: Log
  readonly library: Library
  readonly cacheNodes: boolean
  send(type: string, data: unknown, clientId: string): void
  loadModel(name: string): void
  unloadModels(): void
  saveImages(picture: Picture, prefix: string, kind: 'output' | 'temp', item: QueueItem): Record<string, unknown>
}

interface Failure {
  readonly type: string
  readonly message: string
}

/** One prompt on its way. */
interface Run {
  readonly item: QueueItem
  readonly clientId: string | undefined
  readonly results: Map<string, NodeResult>
  readonly executed: string[]
  readonly states: Record<string, unknown>
  readonly messages: (readonly [string, unknown])[]
  /** Why this prompt's first node fails, where the knobs want it to. */
  readonly fault: Failure | undefined
}

const INTERRUPTED = Symbol('interrupted')
const OOM_TIPS =
  'This error means you ran out of memory on your GPU.\n\n' +
  'TIPS: If the workflow worked before you might have accidentally set the batch_size to a large number.'

export function openExecutor(around: Surroundings): Executor {
  const startedMs = performance.now()
  const cache = new Map<string, NodeResult>()
  let clientId: string | undefined
  let nodeId: string | undefined
  let interrupted = false
  let count = 0

  const say = (run: Run, type: string, data: Record<string, unknown>) => {
    const message = { ...data, timestamp: Date.now() }
    run.messages.push([type, message])
    if (run.clientId !== undefined) around.send(type, message, run.clientId)
  }

  async function step(): Promise<void> {
    const { stallAfterMs, stepMs } = around.knobs
    if (stallAfterMs !== undefined && performance.now() - startedMs >= stallAfterMs) await new Promise(() => {})
    await sleep(stepMs)
    if (interrupted) throw INTERRUPTED
  }

  async function runNode(run: Run, id: string): Promise<void> {
    const node = run.item.prompt[id] as Prompt[string]
    const nodeClass = NODE_CLASSES.get(node.class_type)
    const tools: NodeTools = {
      library: around.library,
      loadModel: around.loadModel,
      saveImages: (picture, prefix, kind) => around.saveImages(picture, prefix, kind, run.item),
      async step(value, total) {
        await step()
        around.log.progress(value, total)
        tellState(run, id, 'running', value, total)
        tell(run, 'progress', { value, max: total, prompt_id: run.item.id, node: id })
      },
    }
    nodeId = id
    tellState(run, id, 'running', 0, 1)
    tell(run, 'executing', { node: id, display_node: id, prompt_id: run.item.id })
    await step()
    if (run.fault) throw run.fault
    const result = await nodeClass?.run(resolveInputs(node.inputs, run.results), tools)
    run.results.set(id, result ?? { outputs: [] })
    if (result?.ui) tell(run, 'executed', { node: id, display_node: id, output: result.ui, prompt_id: run.item.id })
    tellState(run, id, 'finished', 1, 1)
    run.executed.push(id)
  }

  function tell(run: Run, type: string, data: unknown): void {
    if (run.clientId !== undefined) around.send(type, data, run.clientId)
  }

  function tellState(run: Run, id: string, state: string, value: number, max: number): void {
    const { id: promptId } = run.item
    const ids = { node_id: id, prompt_id: promptId, display_node_id: id, parent_node_id: null, real_node_id: id }
    run.states[id] = { value, max, state, ...ids }
    tell(run, 'progress_state', { prompt_id: promptId, nodes: run.states })
  }

  function startRun(item: QueueItem): Run {
    count += 1
    const fault = faultOf(around.knobs, count)
    if (fault || !around.cacheNodes) cache.clear()
    clientId = item.extraData.client_id === undefined ? undefined : String(item.extraData.client_id)
    interrupted = false
    return { item, clientId, results: new Map(), executed: [], states: {}, messages: [], fault }
  }

  /** Runs every node that the outputs need and that has no cached result, then keeps the results of this prompt only. */
  async function runAll(run: Run): Promise<void> {
    const { prompt, outputs, id } = run.item
    const order = executionOrder(prompt, outputs)
    const signatures = new Map(order.map((node) => [node, signature(prompt, node)]))
    const cached = order.filter((node) => cache.has(signatures.get(node) as string))
    say(run, 'execution_cached', { nodes: cached, prompt_id: id })
    for (const node of order) {
      const earlier = cache.get(signatures.get(node) as string)
      if (earlier === undefined) await runNode(run, node)
      else {
        run.results.set(node, earlier)
        if (earlier.ui) tell(run, 'executed', { node, display_node: node, output: earlier.ui, prompt_id: id })
      }
    }
    cache.clear()
    for (const node of order) cache.set(signatures.get(node) as string, run.results.get(node) as NodeResult)
    say(run, 'execution_success', { prompt_id: id })
  }

  function fail(run: Run, reason: unknown): void {
    const id = nodeId ?? ''
    const about = { prompt_id: run.item.id, node_id: id, node_type: run.item.prompt[id]?.class_type ?? '' }
    if (reason === INTERRUPTED) {
      around.log.write('Processing interrupted')
      say(run, 'execution_interrupted', { ...about, executed: run.executed })
      return
    }
    const { type, message } = describeFailure(reason)
    const isOom = type === 'torch.OutOfMemoryError'
    const traceback = `  File "execution.py", line 496, in execute\n    output_data, output_ui, has_subgraph = await get_output_data()\n`
    around.log.write(`!!! Exception during processing !!! ${message}`)
    around.log.write(`Traceback (most recent call last):\n${traceback}\n${type}: ${message}\n`)
    if (isOom) {
      around.log.write('Got an OOM, unloading all loaded models.')
      around.unloadModels()
    }
    say(run, 'execution_error', {
      ...about,
      executed: run.executed,
      exception_message: isOom ? `${message}\n${OOM_TIPS}` : message,
      exception_type: type,
      traceback: [traceback],
      current_inputs: run.item.prompt[id]?.inputs ?? {},
      current_outputs: [...run.results.keys()],
    })
  }

  return {
    async execute(item) {
      const startMs = performance.now()
      const run = startRun(item)
      say(run, 'execution_start', { prompt_id: item.id })
      let success = true
      try {
        await runAll(run)
      } catch (reason) {
        success = false
        fail(run, reason)
      }
      nodeId = undefined
      around.log.write(`Prompt executed in ${((performance.now() - startMs) / 1000).toFixed(2)} seconds`)
      return { success, messages: run.messages, ...shownOutputs(run) }
    },
    interrupt: () => {
      interrupted = true
    },
    current: () => ({ clientId, nodeId }),
    reset: () => cache.clear(),
  }
}

/** The n-th prompt's fate: a broken CUDA context stays broken, memory runs out every so often. */
function faultOf(knobs: Knobs, count: number): Failure | undefined {
  if (knobs.cudaFaultAfter !== undefined && count >= knobs.cudaFaultAfter) {
    return { type: 'torch.AcceleratorError', message: CUDA_FAULT_MESSAGE }
  }
  if (knobs.oomEvery !== undefined && count % knobs.oomEvery === 0) {
    return { type: 'torch.OutOfMemoryError', message: outOfMemoryMessage(knobs.vramBytes) }
  }
  return undefined
}

function describeFailure(reason: unknown): Failure {
  if (reason instanceof Error) return { type: 'Exception', message: reason.message }
  return reason as Failure
}

function shownOutputs(run: Run): { outputs: Record<string, unknown>; meta: Record<string, unknown> } {
  const shown = [...run.results].filter(([, result]) => result.ui !== undefined)
  const about = (id: string) => ({ node_id: id, display_node: id, parent_node: null, real_node_id: id })
  return {
    outputs: Object.fromEntries(shown.map(([id, result]) => [id, result.ui])),
    meta: Object.fromEntries(shown.map(([id]) => [id, about(id)])),
  }
}

/** The nodes that the outputs need, each after those it takes from. */
export function executionOrder(prompt: Prompt, outputs: readonly string[]): string[] {
  const order = new Set<string>()
  const visit = (id: string) => {
    if (order.has(id)) return
    for (const value of Object.values(prompt[id]?.inputs ?? {})) {
      if (Array.isArray(value) && prompt[String(value[0])]) visit(String(value[0]))
    }
    order.add(id)
  }
  for (const output of outputs) visit(output)
  return [...order]
}

/** Equal for nodes of the same class with the same inputs all the way up. */
function signature(prompt: Prompt, id: string): string {
  const node = prompt[id]
  const inputs = Object.entries(node?.inputs ?? {}).map(([name, value]) =>
    Array.isArray(value) && prompt[String(value[0])]
      ? [name, signature(prompt, String(value[0])), value[1]]
      : [name, value],
  )
  return createHash('sha1')
    .update(JSON.stringify([node?.class_type, id, inputs.sort()]))
    .digest('hex')
}

function resolveInputs(inputs: Record<string, unknown>, results: ReadonlyMap<string, NodeResult>) {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => {
      const source = Array.isArray(value) ? results.get(String(value[0])) : undefined
      return [name, source ? source.outputs[Number((value as unknown[])[1])] : value]
    }),
  )
}
