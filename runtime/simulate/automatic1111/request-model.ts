/** The bodies of txt2img and img2img, checked with the messages of pydantic 1, which Automatic1111 uses. */

export interface Complaint {
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly type: string
}

type Kind = 'integer' | 'float' | 'str' | 'bool' | 'list'

const FIELDS: Readonly<Record<string, Kind>> = {
  prompt: 'str',
  negative_prompt: 'str',
  seed: 'integer',
  steps: 'integer',
  width: 'integer',
  height: 'integer',
  batch_size: 'integer',
  n_iter: 'integer',
  cfg_scale: 'float',
  denoising_strength: 'float',
  sampler_name: 'str',
  sampler_index: 'str',
  init_images: 'list',
  send_images: 'bool',
  save_images: 'bool',
  include_init_images: 'bool',
}

const DEFAULTS: Readonly<Record<string, unknown>> = {
  prompt: '',
  negative_prompt: '',
  styles: null,
  seed: -1,
  subseed: -1,
  subseed_strength: 0,
  sampler_name: null,
  batch_size: 1,
  n_iter: 1,
  steps: 50,
  cfg_scale: 7.0,
  width: 512,
  height: 512,
  restore_faces: null,
  tiling: null,
  denoising_strength: null,
  override_settings: null,
  sampler_index: 'Euler',
  send_images: true,
  save_images: false,
  alwayson_scripts: {},
}

export interface GenerationRequest {
  /** What was sent, without the defaults. */
  readonly sent: Readonly<Record<string, unknown>>
  readonly values: Readonly<Record<string, unknown>>
  number(name: string): number
  text(name: string): string
}

/** The request with defaults filled in, or pydantic's complaints about it. */
export function readRequest(body: Buffer): { request: GenerationRequest } | { complaints: readonly Complaint[] } {
  const parsed = parse(body)
  if ('complaints' in parsed) return parsed
  const complaints = Object.entries(FIELDS).flatMap(([name, kind]) => check(name, kind, parsed.value[name]))
  if (complaints.length > 0) return { complaints }
  const values: Record<string, unknown> = { ...DEFAULTS, ...parsed.value }
  return {
    request: {
      sent: parsed.value,
      values,
      number: (name) => Number(values[name] ?? DEFAULTS[name] ?? 0),
      text: (name) => String(values[name] ?? ''),
    },
  }
}

function parse(body: Buffer): { value: Record<string, unknown> } | { complaints: readonly Complaint[] } {
  if (body.length === 0) {
    return { complaints: [{ loc: ['body'], msg: 'field required', type: 'value_error.missing' }] }
  }
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { value: value as Record<string, unknown> }
    }
    return { complaints: [{ loc: ['body'], msg: 'value is not a valid dict', type: 'type_error.dict' }] }
  } catch {
    const msg = 'Expecting value: line 1 column 1 (char 0)'
    return { complaints: [{ loc: ['body', 0], msg, type: 'value_error.jsondecode' }] }
  }
}

function check(name: string, kind: Kind, value: unknown): Complaint[] {
  if (value === undefined || value === null || fits(kind, value)) return []
  const noun = { integer: 'integer', float: 'float', str: 'str', bool: 'boolean', list: 'list' }[kind]
  const msg = kind === 'str' ? 'str type expected' : `value is not a valid ${noun}`
  if (kind === 'bool')
    return [{ loc: ['body', name], msg: 'value could not be parsed to a boolean', type: 'type_error.bool' }]
  return [{ loc: ['body', name], msg, type: `type_error.${kind}` }]
}

function fits(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'integer':
    case 'float':
      return typeof value !== 'object' && String(value).trim() !== '' && Number.isFinite(Number(value))
    case 'str':
      return typeof value !== 'object'
    case 'bool':
      return typeof value === 'boolean' || ['true', 'false', '0', '1', 'on', 'off', 'yes', 'no'].includes(String(value))
    case 'list':
      return Array.isArray(value)
  }
}
