import { statSync } from 'node:fs'
import { widthOf } from '../console.ts'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { formatBytes } from '../format.ts'
import { describeTask, type ModelReport, readEntries, reportModels } from '../provision-report.ts'
import { type Color, formatTable } from '../table.ts'

const TASKS = ['models', 'models-background']

/** `mcomfy models`: the models of the machine; 1 if one that is not optional is not there. */
export const run: Command = async ({ plan, request, console }) => {
  const { models } = plan.provisioning
  const entries = new Map(TASKS.flatMap((task) => [...readEntries(plan.paths, task)]))
  const reports = reportModels(models, entries, sizeOf)
  const ok = reports.every(({ state }, index) => state === 'present' || models[index]!.optional)
  if (request.options.json) console.out(`${JSON.stringify({ ok, models: reports })}\n`)
  else if (reports.length === 0) console.say('mcomfy: the machine file has no models')
  else {
    const layout = { color: console.isColored, columns: widthOf(console) }
    const lines = formatTable(['MODEL', 'FOLDER', 'STATE', 'SIZE', 'SHA-256', 'PROBLEM'], reports.map(row), layout)
    console.out(`${lines.join('\n')}\n`)
    for (const task of TASKS) {
      const line = describeTask(plan.paths, task)
      if (line !== null) console.say(line)
    }
  }
  return ok ? EXIT.done : EXIT.findings
}

const COLORS: Readonly<Record<ModelReport['state'], Color>> = {
  present: 'green',
  changed: 'yellow',
  missing: 'yellow',
  refused: 'red',
}

const row = ({ model, folder, state, sizeBytes, sha256, problem }: ModelReport) => [
  model,
  folder,
  { text: state, color: COLORS[state] },
  sizeBytes === null ? '-' : formatBytes(sizeBytes),
  sha256?.slice(0, 12) ?? '-',
  problem ?? '',
]

function sizeOf(path: string): number | null {
  try {
    return statSync(path).size
  } catch {
    return null
  }
}
