/** The node classes that the stand-in knows: enough for the usual text-to-image and image-to-image graphs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pngSize } from '../png.ts'
import type { InputSpec, NodeClass, Picture } from './node-class.ts'

const MAX_RESOLUTION = 16_384
const SAMPLERS = [
  'euler',
  'euler_ancestral',
  'heun',
  'dpm_2',
  'lms',
  'dpmpp_2m',
  'dpmpp_2m_sde',
  'ddim',
  'uni_pc',
  'lcm',
]
const SCHEDULERS = ['simple', 'sgm_uniform', 'karras', 'exponential', 'ddim_uniform', 'beta', 'normal']

const int = (defaultValue: number, min: number, max: number, step = 1): InputSpec => [
  'INT',
  { default: defaultValue, min, max, step },
]
const size = (defaultValue: number, min: number, step: number) => int(defaultValue, min, MAX_RESOLUTION, step)
const strength: InputSpec = ['FLOAT', { default: 1.0, min: -100.0, max: 100.0, step: 0.01 }]
const workflow = { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' }

function define(
  name: string,
  displayName: string,
  category: string,
  output: readonly string[],
  inputs: NodeClass['inputs'],
  run: NodeClass['run'],
): NodeClass {
  return { name, displayName, category, output, inputs, run, outputNode: output.length === 0 }
}

const picture = (values: Readonly<Record<string, unknown>>, input: string) => values[input] as Picture
const numberOf = (values: Readonly<Record<string, unknown>>, input: string) => Number(values[input])

const loadImage: NodeClass = {
  ...define(
    'LoadImage',
    'Load Image',
    'image',
    ['IMAGE', 'MASK'],
    (library) => ({ required: { image: [library.inputImages(), { image_upload: true }] } }),
    (values, { library }) => {
      const name = String(values.image)
      const { width, height } = pngSize(readFileSync(join(library.inputDirectory, name))) ?? { width: 64, height: 64 }
      const loaded: Picture = { width, height, count: 1, seed: name }
      return { outputs: [loaded, loaded] }
    },
  ),
  validate: (_input, value, library) =>
    library.inputImages().includes(String(value)) || `Invalid image file: ${String(value)}`,
}

const sampler = define(
  'KSampler',
  'KSampler',
  'sampling',
  ['LATENT'],
  () => ({
    required: {
      model: ['MODEL', {}],
      seed: ['INT', { default: 0, min: 0, max: 2 ** 64, control_after_generate: true }],
      steps: int(20, 1, 10_000),
      cfg: ['FLOAT', { default: 8.0, min: 0.0, max: 100.0, step: 0.1, round: 0.01 }],
      sampler_name: [SAMPLERS, {}],
      scheduler: [SCHEDULERS, {}],
      positive: ['CONDITIONING', {}],
      negative: ['CONDITIONING', {}],
      latent_image: ['LATENT', {}],
      denoise: ['FLOAT', { default: 1.0, min: 0.0, max: 1.0, step: 0.01 }],
    },
  }),
  async (values, tools) => {
    const steps = numberOf(values, 'steps')
    for (let step = 1; step <= steps; step++) await tools.step(step, steps)
    const seed = `${values.seed} ${values.positive} ${values.negative} ${values.cfg}`
    return { outputs: [{ ...picture(values, 'latent_image'), seed }] }
  },
)

const CLASSES: readonly NodeClass[] = [
  sampler,
  define(
    'CheckpointLoaderSimple',
    'Load Checkpoint',
    'loaders',
    ['MODEL', 'CLIP', 'VAE'],
    (library) => ({ required: { ckpt_name: [library.models('checkpoints'), {}] } }),
    ({ ckpt_name: name }, tools) => {
      tools.loadModel(String(name))
      return { outputs: [name, name, name] }
    },
  ),
  define(
    'CLIPTextEncode',
    'CLIP Text Encode (Prompt)',
    'conditioning',
    ['CONDITIONING'],
    () => ({ required: { text: ['STRING', { multiline: true, dynamicPrompts: true }], clip: ['CLIP', {}] } }),
    (values) => ({ outputs: [values.text] }),
  ),
  define(
    'VAEDecode',
    'VAE Decode',
    'latent',
    ['IMAGE'],
    () => ({ required: { samples: ['LATENT', {}], vae: ['VAE', {}] } }),
    (values) => ({ outputs: [values.samples] }),
  ),
  define(
    'VAEEncode',
    'VAE Encode',
    'latent',
    ['LATENT'],
    () => ({ required: { pixels: ['IMAGE', {}], vae: ['VAE', {}] } }),
    (values) => ({ outputs: [values.pixels] }),
  ),
  define(
    'VAELoader',
    'Load VAE',
    'loaders',
    ['VAE'],
    (library) => ({ required: { vae_name: [library.models('vae'), {}] } }),
    (values) => ({ outputs: [values.vae_name] }),
  ),
  define(
    'LoraLoader',
    'Load LoRA',
    'loaders',
    ['MODEL', 'CLIP'],
    (library) => ({
      required: {
        model: ['MODEL', {}],
        clip: ['CLIP', {}],
        lora_name: [library.models('loras'), {}],
        strength_model: strength,
        strength_clip: strength,
      },
    }),
    (values) => ({ outputs: [values.model, values.clip] }),
  ),
  define(
    'EmptyLatentImage',
    'Empty Latent Image',
    'latent',
    ['LATENT'],
    () => ({ required: { width: size(512, 16, 8), height: size(512, 16, 8), batch_size: int(1, 1, 4096) } }),
    (values) => ({ outputs: [blank(values)] }),
  ),
  define(
    'EmptyImage',
    'EmptyImage',
    'image',
    ['IMAGE'],
    () => ({
      required: {
        width: size(512, 1, 1),
        height: size(512, 1, 1),
        batch_size: int(1, 1, 4096),
        color: ['INT', { default: 0, min: 0, max: 0xffffff, step: 1, display: 'color' }],
      },
    }),
    (values) => ({ outputs: [blank(values)] }),
  ),
  loadImage,
  define(
    'ImageScale',
    'Upscale Image',
    'image/upscaling',
    ['IMAGE'],
    () => ({
      required: {
        image: ['IMAGE'],
        upscale_method: [['nearest-exact', 'bilinear', 'area', 'bicubic', 'lanczos']],
        width: size(512, 0, 1),
        height: size(512, 0, 1),
        crop: [['disabled', 'center']],
      },
    }),
    (values) => ({
      outputs: [{ ...picture(values, 'image'), width: numberOf(values, 'width'), height: numberOf(values, 'height') }],
    }),
  ),
  define(
    'ImageInvert',
    'Invert Image',
    'image',
    ['IMAGE'],
    () => ({ required: { image: ['IMAGE'] } }),
    (values) => ({ outputs: [{ ...picture(values, 'image'), seed: `inverted ${picture(values, 'image').seed}` }] }),
  ),
  define(
    'SaveImage',
    'Save Image',
    'image',
    [],
    () => ({
      required: { images: ['IMAGE', {}], filename_prefix: ['STRING', { default: 'ComfyUI' }] },
      hidden: workflow,
    }),
    (values, tools) => ({
      outputs: [],
      ui: tools.saveImages(picture(values, 'images'), String(values.filename_prefix), 'output'),
    }),
  ),
  define(
    'PreviewImage',
    'Preview Image',
    'image',
    [],
    () => ({ required: { images: ['IMAGE'] }, hidden: workflow }),
    (values, tools) => ({
      outputs: [],
      ui: tools.saveImages(picture(values, 'images'), `ComfyUI_temp_${randomLetters(5)}`, 'temp'),
    }),
  ),
]

function blank(values: Readonly<Record<string, unknown>>): Picture {
  return {
    width: numberOf(values, 'width'),
    height: numberOf(values, 'height'),
    count: numberOf(values, 'batch_size'),
    seed: `blank ${values.color ?? 0}`,
  }
}

function randomLetters(count: number): string {
  return Array.from({ length: count }, () => 'abcdefghijklmnopqrstupvxyz'[Math.floor(Math.random() * 26)]).join('')
}

export const NODE_CLASSES: ReadonlyMap<string, NodeClass> = new Map(CLASSES.map((node) => [node.name, node]))
