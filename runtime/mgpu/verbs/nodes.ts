import { widthOf } from '../console.ts'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { describeTask, readEntries, reportNodes } from '../provision-report.ts'
import { formatTable } from '../table.ts'

const TASK = 'custom-nodes'

/** `mcomfy nodes`: the custom nodes with their commits; 1 if one of them is not as it should be. */
export const run: Command = async ({ plan, request, console }) => {
  const reports = reportNodes(plan.provisioning.customNodes?.nodes ?? [], readEntries(plan.paths, TASK))
  const ok = reports.every((report) => report.ok)
  if (request.options.json) console.out(`${JSON.stringify({ ok, nodes: reports })}\n`)
  else if (reports.length === 0) console.say('mcomfy: no custom nodes are known')
  else {
    const layout = { color: console.isColored, columns: widthOf(console) }
    const rows = reports.map(({ name, state, ok: isRight, commit, url, problem }) => [
      name,
      { text: state, color: isRight ? ('green' as const) : ('red' as const) },
      commit?.slice(0, 12) ?? '-',
      url || '-',
      problem ?? '',
    ])
    console.out(`${formatTable(['NODE', 'STATE', 'COMMIT', 'URL', 'PROBLEM'], rows, layout).join('\n')}\n`)
    const line = describeTask(plan.paths, TASK)
    if (line !== null) console.say(line)
  }
  return ok ? EXIT.done : EXIT.findings
}
