/** Applies a tree of render-kill-trees.ts, to be killed meanwhile: `node render-kill-child.mjs <directory> <tree>`. */
import { writeSync } from 'node:fs'
import { applyTree } from '../../generator/write/apply.ts'
import { bigTree, HEAD_START_MS, type TreeName } from './render-kill-trees.ts'

const [outputDirectory, name] = process.argv.slice(2) as [string, TreeName]
const artifacts = bigTree(name)
writeSync(1, 'ready\n')
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HEAD_START_MS)
const startedMs = performance.now()
applyTree({ outputDirectory, artifacts, inputs: { tree: name } })
writeSync(1, `${performance.now() - startedMs}\n`)
