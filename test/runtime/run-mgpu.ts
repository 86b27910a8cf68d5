import { type ChildProcess, spawn } from 'node:child_process'
import { temporaryDirectory } from '../temporary-directory.ts'
import { bundleProgram } from './local-tree.ts'

export interface MgpuRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export const mgpuProgram = bundleProgram('runtime/mgpu/main.ts', `${temporaryDirectory()}/mgpu.mjs`)

/** Starts the operator's program; `end` is its end. It reads no plan but the one that it is given. */
export function startMgpu(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  directory?: string,
): { readonly child: ChildProcess; readonly output: () => string; readonly end: Promise<MgpuRun> } {
  const child = spawn(process.execPath, [mgpuProgram, ...words], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(directory === undefined ? {} : { cwd: directory }),
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const end = new Promise<MgpuRun>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
  return { child, output: () => stdout, end }
}

export const runMgpu = (words: readonly string[], environment?: NodeJS.ProcessEnv, directory?: string) =>
  startMgpu(words, environment, directory).end
