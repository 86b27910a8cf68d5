import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Options as GET /sdapi/v1/options shows them; the many others of the real program matter to nobody here. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  samples_save: true,
  samples_format: 'png',
  grid_save: true,
  jpeg_quality: 80,
  outdir_txt2img_samples: 'outputs/txt2img-images',
  outdir_img2img_samples: 'outputs/img2img-images',
  save_images_add_number: true,
  memmon_poll_rate: 8,
  sd_checkpoint_cache: 0,
  sd_checkpoints_limit: 1,
  sd_vae: 'Automatic',
  CLIP_stop_at_last_layers: 1,
  enable_quantization: false,
  show_progressbar: true,
  live_previews_enable: true,
  eta_ddim: 0.0,
}

export interface Settings {
  all(): Record<string, unknown>
  get(name: string): unknown
  /** Merges and writes the settings file. */
  set(values: Readonly<Record<string, unknown>>): void
}

/** Settings kept in one JSON file, which need not exist yet. */
export function openSettings(file: string, firstCheckpoint: string | null): Settings {
  let values: Record<string, unknown> = { ...DEFAULTS, sd_model_checkpoint: firstCheckpoint, ...readFile(file) }
  return {
    all: () => values,
    get: (name) => values[name],
    set(changes) {
      values = { ...values, ...changes }
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `${JSON.stringify(values, null, 4)}\n`)
    },
  }
}

function readFile(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  } catch {
    return {}
  }
}
