import type { GraphNode, ServiceGraph } from './service-graph.ts'

export type GraphFormat = 'mermaid' | 'dot'

/** The graph as text; solid arrows wait, dotted ones only order the stop. */
export function drawGraph(graph: ServiceGraph, format: GraphFormat): string {
  return format === 'dot' ? drawDot(graph) : drawMermaid(graph)
}

/** Those of one GPU together, in the order of the GPUs; `null` for what belongs to none. */
function byGpu(nodes: readonly GraphNode[]): [number | null, GraphNode[]][] {
  const groups = new Map<number | null, GraphNode[]>()
  for (const node of nodes) groups.set(node.gpu, [...(groups.get(node.gpu) ?? []), node])
  return [...groups].sort(([a], [b]) => (a ?? -1) - (b ?? -1))
}

/** Nodes get numbers for names: `end` and other words mean something to Mermaid. */
function drawMermaid({ title, nodes, edges }: ServiceGraph): string {
  const ids = new Map(nodes.map(({ name }, index) => [name, `s${index}`]))
  const draw = (node: GraphNode) => `${ids.get(node.name)}["${labelLines(node).join('<br/>')}"]`
  const groups = byGpu(nodes).flatMap(([gpu, members]) =>
    gpu === null
      ? members.map((node) => `  ${draw(node)}`)
      : [`  subgraph gpu${gpu} [GPU ${gpu}]`, ...members.map((node) => `    ${draw(node)}`), '  end'],
  )
  const arrows = edges.map(({ from, to, kind }) => {
    const arrow = kind === 'waits' ? '-- waits for -->' : '-. stops before .->'
    return `  ${ids.get(from)} ${arrow} ${ids.get(to)}`
  })
  return `${['---', `title: ${title}`, '---', 'flowchart LR', ...groups, ...arrows].join('\n')}\n`
}

function drawDot({ title, nodes, edges }: ServiceGraph): string {
  const draw = (node: GraphNode) => `"${node.name}" [label="${labelLines(node).join('\\n')}"]`
  const groups = byGpu(nodes).flatMap(([gpu, members]) =>
    gpu === null
      ? members.map((node) => `  ${draw(node)}`)
      : [
          `  subgraph cluster_gpu${gpu} {`,
          `    label="GPU ${gpu}"`,
          ...members.map((node) => `    ${draw(node)}`),
          '  }',
        ],
  )
  const arrows = edges.map(({ from, to, kind }) => {
    const style = kind === 'waits' ? 'label="waits for"' : 'style=dotted, label="stops before"'
    return `  "${from}" -> "${to}" [${style}]`
  })
  return `${[`digraph "${title}" {`, '  rankdir=LR', '  node [shape=box]', ...groups, ...arrows, '}'].join('\n')}\n`
}

function labelLines({ name, port, stopStep }: GraphNode): string[] {
  return [name, ...(port === null ? [] : [`port ${port}`]), `stop step ${stopStep}`]
}
