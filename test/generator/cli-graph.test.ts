import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../generator/compile.ts'
import { drawGraph } from '../../generator/graph/draw-graph.ts'
import { serviceGraph } from '../../generator/graph/service-graph.ts'

const text = `machine: { id: m1, gpu: { count: 1, memoryGB: 24, model: X } }
services:
  nginx: {}
  comfyui: {}
  redisWorker: { command: [node, worker.js] }
  end: { command: [sleep, "1"], dependsOn: [comfyui] }
provisioning: { verify: { enabled: false } }
`

function graph() {
  const { plan, diagnostics } = compile({ sources: [{ file: 'machine.yaml', text }] })
  if (plan === null) throw new Error(JSON.stringify(diagnostics))
  return serviceGraph(plan)
}

test('services wait, and stop, in the order that the graph shows; what follows from other edges is left out', () => {
  const { nodes, edges } = graph()
  assert.equal(edges.map(({ from, to, kind }) => `${from} ${kind} ${to}`).sort(), [
    'comfyui-gpu0 stops nginx',
    'end waits comfyui-gpu0',
    'nginx stops sidecar',
    'redis-worker-gpu0 waits comfyui-gpu0',
  ])
  const steps = Object.fromEntries(nodes.map(({ name, stopStep }) => [name, stopStep]))
  assert.equal(steps, { end: 1, 'redis-worker-gpu0': 1, 'comfyui-gpu0': 2, nginx: 3, sidecar: 4 })
})

test('Mermaid gets numbered nodes: "end" is a word of its own there', () => {
  assert.is(
    drawGraph(graph(), 'mermaid'),
    `---
title: m1
---
flowchart LR
  s0["sidecar<br/>port 9090<br/>stop step 4"]
  s1["nginx<br/>port 80<br/>stop step 3"]
  s4["end<br/>stop step 1"]
  subgraph gpu0 [GPU 0]
    s2["comfyui-gpu0<br/>port 8188<br/>stop step 2"]
    s3["redis-worker-gpu0<br/>stop step 1"]
  end
  s1 -. stops before .-> s0
  s2 -. stops before .-> s1
  s3 -- waits for --> s2
  s4 -- waits for --> s2
`,
  )
})

test('Graphviz gets the same', () => {
  assert.is(
    drawGraph(graph(), 'dot'),
    `digraph "m1" {
  rankdir=LR
  node [shape=box]
  "sidecar" [label="sidecar\\nport 9090\\nstop step 4"]
  "nginx" [label="nginx\\nport 80\\nstop step 3"]
  "end" [label="end\\nstop step 1"]
  subgraph cluster_gpu0 {
    label="GPU 0"
    "comfyui-gpu0" [label="comfyui-gpu0\\nport 8188\\nstop step 2"]
    "redis-worker-gpu0" [label="redis-worker-gpu0\\nstop step 1"]
  }
  "nginx" -> "sidecar" [style=dotted, label="stops before"]
  "comfyui-gpu0" -> "nginx" [style=dotted, label="stops before"]
  "redis-worker-gpu0" -> "comfyui-gpu0" [label="waits for"]
  "end" -> "comfyui-gpu0" [label="waits for"]
}
`,
  )
})

test('a cycle, which is an error of the machine, is drawn all the same', () => {
  const cyclic = text.replace('comfyui: {}', 'comfyui: { dependsOn: [end] }')
  const { plan, diagnostics } = compile({ sources: [{ file: 'machine.yaml', text: cyclic }] })
  assert.ok(diagnostics.some(({ code }) => code === 'DEPENDENCY_CYCLE'))
  assert.match(drawGraph(serviceGraph(plan!), 'dot'), '"end" -> "comfyui-gpu0"')
})

test.run()
