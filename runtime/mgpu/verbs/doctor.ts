import type { Command } from '../context.ts'
import { type Finding, findProblems, type Severity } from '../doctor/findings.ts'
import { gatherFacts } from '../doctor/gather-facts.ts'
import { EXIT } from '../failure.ts'
import { type Color, paint } from '../table.ts'

/** `doctor`: what is wrong and what to do, the worst first; 1 if anything is an error. */
export const run: Command = async ({ plan, request, console }) => {
  const findings = findProblems(await gatherFacts(plan, console.environment))
  const ok = findings.every(({ severity }) => severity !== 'error')
  if (request.options.json) console.out(`${JSON.stringify({ machine: plan.machine.id, ok, findings })}\n`)
  else if (findings.length === 0) console.out(`${plan.machine.id}: nothing is wrong\n`)
  else console.out(`${findings.map((finding) => format(finding, console.isColored)).join('\n\n')}\n`)
  return ok ? EXIT.done : EXIT.findings
}

const COLORS: Readonly<Record<Severity, Color>> = { error: 'red', warning: 'yellow', note: 'grey' }

function format({ code, severity, text, next, log }: Finding, isColored: boolean): string {
  const head = paint(`${severity}[${code}]`, COLORS[severity], isColored)
  return [`${head}: ${text}`, ...log.map((line) => `    | ${line}`), `  -> ${next}`].join('\n')
}
