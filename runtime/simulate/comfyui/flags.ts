/** The command line of ComfyUI v0.3.64 (comfy/cli_args.py), as `Options`. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Flag, type FlagValue, parseArguments, switches } from '../arguments.ts'

export interface Options {
  /** What `sys.argv` would be. */
  readonly argv: readonly string[]
  readonly addresses: readonly string[]
  readonly port: number
  readonly tls: { readonly keyFile: string; readonly certificateFile: string } | undefined
  readonly corsOrigin: string | undefined
  readonly maxUploadBytes: number
  readonly directories: Directories
  readonly extraModelPathFiles: readonly string[]
  readonly databaseFile: string | undefined
  readonly cpu: boolean
  readonly cudaDevice: number | undefined
  readonly cacheNodes: boolean
  readonly saveMetadata: boolean
  readonly multiUser: boolean
  readonly logToStdout: boolean
  readonly quickTest: boolean
  readonly printServer: boolean
}

export interface Directories {
  readonly base: string
  readonly models: string
  readonly input: string
  readonly output: string
  readonly temp: string
  readonly user: string
}

function refuseNoDirectory(path: string): string | undefined {
  if (!existsSync(path)) return `The path '${path}' does not exist.`
  if (!statSync(path).isDirectory()) return `'${path}' is not a directory.`
  try {
    accessSync(path, constants.R_OK)
  } catch {
    return `You do not have read permissions for '${path}'.`
  }
  return undefined
}

const text = (name: string): Flag => ({ name, arity: 'one', type: 'text' })
const number = (name: string, type: 'int' | 'float', group?: string): Flag => ({
  name,
  arity: 'one',
  type,
  ...(group === undefined ? {} : { group }),
})

export const COMFYUI_FLAGS: readonly Flag[] = [
  { name: '--listen', arity: '?', metavar: 'IP', bare: '0.0.0.0,::' },
  number('--port', 'int'),
  text('--tls-keyfile'),
  text('--tls-certfile'),
  { name: '--enable-cors-header', arity: '?', metavar: 'ORIGIN', bare: '*' },
  number('--max-upload-size', 'float'),
  text('--base-directory'),
  { name: '--extra-model-paths-config', arity: '+', metavar: 'PATH' },
  ...['--output-directory', '--temp-directory', '--input-directory'].map(text),
  ...switches(['--auto-launch', '--disable-auto-launch']),
  { name: '--cuda-device', arity: 'one', type: 'int', metavar: 'DEVICE_ID' },
  { name: '--default-device', arity: 'one', type: 'int', metavar: 'DEFAULT_DEVICE_ID' },
  ...switches(['--cuda-malloc', '--disable-cuda-malloc'], 'malloc'),
  ...switches(['--force-fp32', '--force-fp16'], 'precision'),
  ...switches(
    ['--fp32-unet', '--fp64-unet', '--bf16-unet', '--fp16-unet', '--fp8_e4m3fn-unet', '--fp8_e5m2-unet'],
    'unet',
  ),
  ...switches(['--fp8_e8m0fnu-unet'], 'unet'),
  ...switches(['--fp16-vae', '--fp32-vae', '--bf16-vae'], 'vae'),
  ...switches(['--cpu-vae']),
  ...switches(['--fp8_e4m3fn-text-enc', '--fp8_e5m2-text-enc', '--fp16-text-enc', '--fp32-text-enc'], 'text-encoder'),
  ...switches(['--bf16-text-enc'], 'text-encoder'),
  ...switches(['--force-channels-last']),
  { name: '--directml', arity: '?', type: 'int', metavar: 'DIRECTML_DEVICE', bare: '-1' },
  { name: '--oneapi-device-selector', arity: 'one', metavar: 'SELECTOR_STRING' },
  ...switches(['--disable-ipex-optimize', '--supports-fp8-compute']),
  {
    name: '--preview-method',
    arity: 'one',
    metavar: '[none,auto,latent2rgb,taesd]',
    choices: ['none', 'auto', 'latent2rgb', 'taesd'],
  },
  number('--preview-size', 'int'),
  ...switches(['--cache-classic'], 'cache'),
  number('--cache-lru', 'int', 'cache'),
  ...switches(['--cache-none'], 'cache'),
  ...switches(['--use-split-cross-attention', '--use-quad-cross-attention'], 'attention'),
  ...switches(['--use-pytorch-cross-attention', '--use-sage-attention', '--use-flash-attention'], 'attention'),
  ...switches(['--disable-xformers']),
  ...switches(['--force-upcast-attention', '--dont-upcast-attention'], 'upcast'),
  ...switches(['--gpu-only', '--highvram', '--normalvram', '--lowvram', '--novram', '--cpu'], 'vram'),
  number('--reserve-vram', 'float'),
  ...switches(['--async-offload', '--force-non-blocking']),
  { name: '--default-hashing-function', arity: 'one', choices: ['md5', 'sha1', 'sha256', 'sha512'] },
  ...switches(['--disable-smart-memory', '--deterministic']),
  { name: '--fast', arity: '*', choices: ['fp16_accumulation', 'fp8_matrix_mult', 'cublas_ops', 'autotune'] },
  ...switches(['--mmap-torch-files', '--disable-mmap', '--dont-print-server', '--quick-test-for-ci']),
  ...switches(['--windows-standalone-build', '--disable-metadata', '--disable-all-custom-nodes']),
  { name: '--whitelist-custom-nodes', arity: '+' },
  ...switches(['--disable-api-nodes', '--multi-user']),
  { name: '--verbose', arity: '?', bare: 'DEBUG', choices: ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] },
  ...switches(['--log-stdout']),
  text('--front-end-version'),
  { name: '--front-end-root', arity: 'one', refuse: refuseNoDirectory },
  { name: '--user-directory', arity: 'one', refuse: refuseNoDirectory },
  ...switches(['--enable-compress-response-body']),
  text('--comfy-api-base'),
  text('--database-url'),
]

const MIB = 1024 ** 2
const SQLITE = 'sqlite:///'

/** Options from the words after the program name, or argparse's refusal. `install` stands for the clone's directory. */
export function readOptions(
  words: readonly string[],
  install: string,
): { options: Options } | ReturnType<typeof refusal> {
  const parsed = parseArguments('main.py', COMFYUI_FLAGS, words)
  if (!parsed.ok) return refusal(parsed)
  const { values } = parsed
  const word = (name: string) => readText(values, name)
  const keyFile = word('--tls-keyfile')
  const certificateFile = word('--tls-certfile')
  const options: Options = {
    argv: ['main.py', ...words],
    addresses: (word('--listen') ?? '127.0.0.1').split(','),
    port: readNumber(values, '--port') ?? 8188,
    tls: keyFile && certificateFile ? { keyFile, certificateFile } : undefined,
    corsOrigin: word('--enable-cors-header'),
    maxUploadBytes: Math.round((readNumber(values, '--max-upload-size') ?? 100) * MIB),
    directories: directories(values, install),
    extraModelPathFiles: (values.get('--extra-model-paths-config') as string[] | undefined) ?? [],
    databaseFile: databaseFile(word('--database-url')),
    cpu: values.has('--cpu'),
    cudaDevice: readNumber(values, '--cuda-device'),
    cacheNodes: !values.has('--cache-none'),
    saveMetadata: !values.has('--disable-metadata'),
    multiUser: values.has('--multi-user'),
    logToStdout: values.has('--log-stdout'),
    quickTest: values.has('--quick-test-for-ci'),
    printServer: !values.has('--dont-print-server'),
  }
  return { options }
}

const refusal = (refused: { exitCode: 0 | 2; text: string }) => ({ refused })

function readText(values: ReadonlyMap<string, FlagValue>, name: string): string | undefined {
  const value = values.get(name)
  return typeof value === 'string' ? value : undefined
}

function readNumber(values: ReadonlyMap<string, FlagValue>, name: string): number | undefined {
  const value = values.get(name)
  return typeof value === 'number' ? value : undefined
}

function directories(values: ReadonlyMap<string, FlagValue>, install: string): Directories {
  const base = resolve(readText(values, '--base-directory') ?? install)
  const chosen = (name: string) => resolve(readText(values, `--${name}-directory`) ?? join(base, name))
  const temp = readText(values, '--temp-directory')
  return {
    base,
    models: join(base, 'models'),
    input: chosen('input'),
    output: chosen('output'),
    temp: resolve(temp ?? base, 'temp'),
    user: chosen('user'),
  }
}

/** The file of a `sqlite:///path` URL; nothing for memory and for other databases. */
function databaseFile(url: string | undefined): string | undefined {
  if (!url?.startsWith(SQLITE)) return undefined
  const path = url.slice(SQLITE.length)
  return path === '' || path === ':memory:' ? undefined : path
}

/** The directory a database file needs to exist in. */
export const databaseDirectory = (file: string): string => dirname(resolve(file))
