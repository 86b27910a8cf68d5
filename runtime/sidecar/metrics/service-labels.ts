import type { PlannedService } from '../../../schema/plan.ts'
import { type LabelText, labelText } from './exposition.ts'

/** The plan does not change while the sidecar runs: what is made of its services is made once. */
const made = new WeakMap<object, LabelText>()

/** `{service="comfyui-gpu0",gpu="0"}`; a service that belongs to no GPU has no `gpu`. */
export function serviceLabels(service: Pick<PlannedService, 'name' | 'gpu'>): LabelText {
  const known = made.get(service)
  if (known !== undefined) return known
  const labels = labelText({ service: service.name, gpu: service.gpu })
  made.set(service, labels)
  return labels
}
