import type { Plan } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { COMFYUI_FOLDERS } from '../../plan/comfyui-folders.ts'
import { artifactPath } from '../artifact-path.ts'
import { yamlString } from '../quote/yaml.ts'

/** Section of the path file, as the original machines called it. */
const SECTION = 'comfyui'

/**
 * The path file of all ComfyUI instances. A folder with several paths would be one string with newlines: ComfyUI
 * splits the value itself and crashes on a YAML list (ComfyUI, utils/extra_config.py).
 */
export function emitComfyui(plan: Plan, marker: string): Artifact[] {
  if (!plan.services.some((service) => service.type === 'comfyui')) return []
  const lines = [
    `# ${marker}`,
    `${SECTION}:`,
    `  base_path: ${yamlString(plan.paths.shared)}`,
    // First in the search order, and where downloads go.
    '  is_default: true',
    ...COMFYUI_FOLDERS.map((folder) => `  ${folder.key}: ${yamlString(`${folder.path}/`)}`),
  ]
  return [
    {
      path: artifactPath(plan, `${plan.paths.config}/comfyui/comfy_dir_config.yaml`),
      mode: 0o644,
      content: `${lines.join('\n')}\n`,
      source: 'comfyui',
    },
  ]
}
