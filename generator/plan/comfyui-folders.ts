/** A key of ComfyUI's path file, and where that folder is below the shared directory. */
export interface ComfyuiFolder {
  readonly key: string
  readonly path: string
}

/**
 * All model folders of ComfyUI v0.3.64 and 0.38 (folder_paths.py), and those that the custom nodes of the original
 * machines use. `unet` and `clip` are older names of `diffusion_models` and `text_encoders` and kept as folders of
 * their own: volumes have them.
 */
const MODEL_FOLDERS = [
  'animatediff_models',
  'audio_encoders',
  'background_removal',
  'checkpoints',
  'classifiers',
  'clip',
  'clip_vision',
  'configs',
  'controlnet',
  'detection',
  'diffusers',
  'diffusion_models',
  'embeddings',
  'frame_interpolation',
  'geometry_estimation',
  'gligen',
  'hypernetworks',
  'ipadapter',
  'latent_upscale_models',
  'loras',
  'model_patches',
  'optical_flow',
  'photomaker',
  'sams',
  'style_models',
  'text_encoders',
  'ultralytics',
  'unet',
  'upscale_models',
  'vae',
  'vae_approx',
] as const

export const COMFYUI_FOLDERS: readonly ComfyuiFolder[] = [
  { key: 'custom_nodes', path: 'custom_nodes' },
  ...MODEL_FOLDERS.map((name) => ({ key: name, path: `models/${name}` })),
]
