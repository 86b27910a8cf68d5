import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'

/** `count`: the number of GPUs: the plan's where they are simulated, else those that the driver shows. */
export const run: Command = async ({ plan, request, console }) => {
  const count = isMock(plan, console.environment) ? plan.gpus.length : await countGpus()
  if (request.options.json) console.out(`${JSON.stringify({ count, planned: plan.gpus.length })}\n`)
  else console.out(`${count}\n`)
  if (count !== plan.gpus.length) console.say(`mgpu: the plan of the machine has ${plan.gpus.length}`)
  return EXIT.done
}

function isMock({ gpus, simulate }: Plan, { MOCK_GPU: mock }: Environment): boolean {
  return simulate || mock === '1' || mock === 'true' || (gpus.length > 0 && gpus.every((gpu) => gpu.mock))
}

/** How many GPUs `nvidia-smi` finds; 0 where it does not work. */
async function countGpus(): Promise<number> {
  const { createNvidiaSmi } = await import('../../sidecar/resources/run-nvidia-smi.ts')
  const output = await createNvidiaSmi()(['--list-gpus'])
  if (output.kind === 'none' || output.exitCode !== 0) return 0
  return output.text.split('\n').filter((line) => line.startsWith('GPU ')).length
}
