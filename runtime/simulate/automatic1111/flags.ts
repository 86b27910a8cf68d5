/** The command line of Automatic1111 v1.10 (modules/cmd_args.py and built-in extensions), as `Options`. */
import { join, resolve } from 'node:path'
import { type Flag, type FlagValue, parseArguments, switches } from '../arguments.ts'

export interface Options {
  /** What /sdapi/v1/cmd-flags shows. */
  readonly flags: Record<string, FlagValue | false | null>
  readonly host: string
  readonly port: number
  readonly hasApi: boolean
  readonly hasUi: boolean
  /** User names and passwords; empty without --api-auth. */
  readonly credentials: ReadonlyMap<string, string>
  readonly allowsServerStop: boolean
  readonly corsOrigins: readonly string[]
  readonly checkpointDirectory: string
  readonly settingsFile: string
  readonly downloadsModel: boolean
  readonly cpu: boolean
}

const text = (name: string): Flag => ({ name, arity: 'one', type: 'text' })
const int = (name: string): Flag => ({ name, arity: 'one', type: 'int' })

const SWITCHES = [
  ...['-f', '--update-all-extensions', '--skip-python-version-check', '--skip-torch-cuda-test', '--reinstall-xformers'],
  ...['--reinstall-torch', '--update-check', '--test-server', '--log-startup', '--skip-prepare-environment'],
  ...['--skip-install', '--dump-sysinfo', '--do-not-download-clip', '--no-half', '--no-half-vae', '--allow-code'],
  ...['--no-progressbar-hiding', '--medvram', '--medvram-sdxl', '--lowvram', '--lowram', '--upcast-sampling'],
  ...['--always-batch-cond-uncond', '--unload-gfpgan', '--share', '--enable-insecure-extension-access'],
  ...['--xformers', '--force-enable-xformers', '--xformers-flash-attention', '--deepdanbooru', '--use-ipex'],
  ...[
    '--opt-split-attention',
    '--opt-sub-quad-attention',
    '--opt-split-attention-invokeai',
    '--opt-split-attention-v1',
  ],
  ...['--opt-sdp-attention', '--opt-sdp-no-mem-attention', '--disable-opt-split-attention', '--disable-nan-check'],
  ...['--listen', '--show-negative-prompt', '--hide-ui-dir-config', '--freeze-settings', '--gradio-debug'],
  ...['--opt-channelslast', '--autolaunch', '--use-textbox-seed', '--disable-console-progressbars'],
  ...['--enable-console-prompts', '--disable-safe-unpickle', '--api', '--api-log', '--nowebui', '--ui-debug-mode'],
  ...['--administrator', '--disable-tls-verify', '--gradio-queue', '--no-gradio-queue', '--skip-version-check'],
  ...['--no-hashing', '--no-download-sd-model', '--add-stop-route', '--api-server-stop', '--disable-all-extensions'],
  ...['--disable-extra-extensions', '--skip-load-model-at-start', '--unix-filenames-sanitization'],
  ...['--no-prompt-history', '--disable-model-loading-ram-optimization'],
]

const TEXTS = [
  ...['--tests', '--data-dir', '--models-dir', '--config', '--ckpt', '--ckpt-dir', '--vae-dir', '--gfpgan-dir'],
  ...['--gfpgan-model', '--embeddings-dir', '--textual-inversion-templates-dir', '--hypernetwork-dir', '--lora-dir'],
  ...['--localizations-dir', '--ngrok', '--ngrok-region', '--ngrok-options', '--codeformer-models-path', '--theme'],
  ...['--gfpgan-models-path', '--esrgan-models-path', '--bsrgan-models-path', '--realesrgan-models-path'],
  ...['--dat-models-path', '--clip-models-path', '--ui-config-file', '--ui-settings-file', '--gradio-auth'],
  ...['--gradio-auth-path', '--gradio-img2img-tool', '--gradio-inpaint-tool', '--styles-file', '--vae-path'],
  ...['--api-auth', '--device-id', '--cors-allow-origins', '--cors-allow-origins-regex', '--tls-keyfile'],
  ...['--tls-certfile', '--server-name', '--subpath', '--loglevel', '--gradio-allowed-path', '--ldsr-models-path'],
]

export const AUTOMATIC1111_FLAGS: readonly Flag[] = [
  ...switches(SWITCHES),
  ...TEXTS.map(text),
  ...['--port', '--max-batch-count', '--sub-quad-q-chunk-size', '--sub-quad-kv-chunk-size'].map(int),
  ...['--sub-quad-chunk-threshold', '--timeout-keep-alive', '--filenames-max-length'].map(int),
  { name: '--precision', arity: 'one', choices: ['full', 'half', 'autocast'] },
  { name: '--use-cpu', arity: '+' },
]

/** Options from the words after the program name and COMMANDLINE_ARGS, or argparse's refusal. */
export function readOptions(
  words: readonly string[],
  commandLineArgs: string,
  install: string,
): { options: Options } | { refused: { exitCode: 0 | 2; text: string } } {
  const all = [...words, ...commandLineArgs.split(/\s+/).filter((word) => word !== '')]
  const parsed = parseArguments('launch.py', AUTOMATIC1111_FLAGS, all)
  if (!parsed.ok) return { refused: parsed }
  const { values } = parsed
  const word = (name: string) => values.get(name) as string | undefined
  const hasUi = !values.has('--nowebui')
  const data = resolve(install, word('--data-dir') ?? '.')
  const models = resolve(data, word('--models-dir') ?? 'models')
  const options: Options = {
    flags: Object.fromEntries(
      AUTOMATIC1111_FLAGS.map((flag) => [variable(flag), values.get(flag.name) ?? unset(flag)]),
    ),
    host: word('--server-name') ?? (values.has('--listen') ? '0.0.0.0' : '127.0.0.1'),
    port: (values.get('--port') as number | undefined) ?? (hasUi ? 7860 : 7861),
    hasApi: values.has('--api') || !hasUi,
    hasUi,
    credentials: new Map((word('--api-auth')?.split(',') ?? []).map((pair) => pair.split(':', 2) as [string, string])),
    allowsServerStop: values.has('--api-server-stop'),
    corsOrigins: word('--cors-allow-origins')?.split(',') ?? [],
    checkpointDirectory: resolve(data, word('--ckpt-dir') ?? join(models, 'Stable-diffusion')),
    settingsFile: resolve(data, word('--ui-settings-file') ?? 'config.json'),
    downloadsModel: !values.has('--no-download-sd-model'),
    cpu: values.has('--use-cpu'),
  }
  return { options }
}

const variable = (flag: Flag) => flag.name.replace(/^-+/, '').replaceAll('-', '_')
const unset = (flag: Flag) => (flag.arity === 'none' ? false : flag.arity === '+' ? [] : null)
