import { existsSync } from 'node:fs'
import type { Plan } from '../../../schema/plan.ts'
import { serviceDirectory } from '../../shared/observe-service.ts'
import { CONTROL, sendControl } from '../../shared/service-control.ts'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { targetsOf } from '../targets.ts'

/** `rotate`: the loggers close their files and begin new ones; old ones go as the machine file has it. */
export const run: Command = async (context) => {
  const { plan, console } = context
  let failures = 0
  for (const { name } of targetsOf(context).services) {
    const isSent = loggersOf(plan, name).map((directory) => sendControl(directory, CONTROL.alarm) === 'sent')
    if (isSent.includes(true)) console.out(`${name}: rotated\n`)
    else {
      failures += 1
      console.say(`mgpu: cannot rotate the log of "${name}": no supervisor looks after its logger`)
    }
  }
  return failures === 0 ? EXIT.done : EXIT.findings
}

/** A service of its own under s6-rc, a directory in that of the service under plain s6. */
function loggersOf({ paths }: Pick<Plan, 'paths'>, name: string): readonly string[] {
  return [serviceDirectory(paths, `${name}-log`), `${serviceDirectory(paths, name)}/log`].filter(existsSync)
}
