/** Made from schema/machine.schema.json by `npm run generate`: edit that file. Fields with a default are set. */

/**
 * Text without NUL characters.
 */
export type Text = string
/**
 * A number with its unit: `500ms`, `10s`, `5m`, `1h`.
 */
export type Duration = string
/**
 * A TCP port.
 */
export type Port = number
/**
 * An IP address.
 */
export type Address = string
/**
 * A path of a URL.
 */
export type UrlPath = string
/**
 * An absolute path in the machine, without `..`.
 */
export type AbsolutePath = string
/**
 * A number with its unit: `20MB` (powers of 1000), `24GiB` (powers of 1024).
 */
export type Size = string
/**
 * A number with its unit, zero too: `0s`, `500ms`, `10s`, `5m`.
 */
export type Pause = string
/**
 * Name of a signal.
 */
export type Signal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2'
/**
 * A path in the machine, without `..`.
 */
export type Path = string
/**
 * Program and arguments.
 *
 * @minItems 1
 */
export type Command = Text[]
/**
 * User that it runs as. Absent: the one that the machine runs as. The local target runs everything as the user who started it.
 */
export type User = string

/**
 * One GPU machine: what it has, what runs on it, and how that is reached.
 */
export interface Machine {
  /**
   * The machine itself.
   */
  machine: {
    /**
     * Name of the machine, stable over restarts. Worker ids are made from it (`<id>-worker-<gpu>`), and consumers split those at `.` and `:`: lower-case letters, digits and `-` only.
     */
    id: string
    /**
     * Its GPUs.
     */
    gpu: {
      /**
       * How many GPUs the machine uses. `auto`: what `nvidia-smi` finds where the file is rendered, or what `--gpus N` says.
       */
      count: number | 'auto'
      /**
       * Memory of each GPU in GB, as workers advertise it to the job queue.
       */
      memoryGB: number
      model: Text
      /**
       * No GPU is there: ComfyUI and Automatic1111 run on the CPU, and nothing is pinned to a device.
       */
      mock: boolean
      /**
       * Device of each GPU in order: an index in PCI bus order, or a UUID as `nvidia-smi -L` prints it. Empty: 0, 1, 2, ...
       */
      devices: (number | string)[]
    }
    stopGracePeriod: Duration
    /**
     * Version of s6-overlay in the image. Decides the layout of the bundles: `user-bundles.d` from 3.2.3.2, `s6-rc.d/user` before.
     */
    s6Overlay: string
  }
  /**
   * What runs on the machine. A service that is not named here does not run. Any name that is not one of the built-in ones is a custom service.
   */
  services: {
    nginx?: Nginx
    comfyui?: Comfyui
    automatic1111?: Automatic1111
    redisWorker?: RedisWorker
    ollama?: Ollama
    [k: string]: Custom | Nginx | Comfyui | Automatic1111 | RedisWorker | Ollama | undefined
  }
  /**
   * Models that the machine downloads, into the model folders below `paths.shared`. Those that are there and right are not fetched again.
   */
  models: Model[]
  /**
   * How the machine fetches what it needs.
   */
  provisioning: {
    /**
     * Whether `models` are downloaded. `false`: the machine takes what is on its volume.
     */
    downloadModels: boolean
    /**
     * Files that are downloaded at the same time.
     */
    parallelFiles: number
    /**
     * Parts of one large file that are downloaded at the same time, where its server can send parts.
     */
    segments: number
    bandwidthLimit?: Size
    /**
     * How often in a row a download that brings nothing is tried again, with growing pauses, before its task fails and its supervisor starts it anew.
     */
    retries: number
    /**
     * The last task of a boot: tries everything once as its users would, a picture through each ComfyUI included, and writes a report of the boot (`<workspace>/.machine/provision/boot-report.json`).
     */
    verify: {
      /**
       * Whether it runs.
       */
      enabled: boolean
      timeout: Duration
    }
  }
  /**
   * Custom nodes of ComfyUI, put into `custom_nodes` of the shared directory before ComfyUI starts. Absent: ComfyUI loads what is there.
   */
  customNodes?: {
    /**
     * A list of nodes on the volume, as the original machines had it (`config_nodes.json`), read at each start. Relative paths start at `paths.shared`. Absent: there is none.
     */
    file?: string
    /**
     * Nodes in place. One that the file has too is taken from here.
     */
    nodes: CustomNode[]
    /**
     * Repositories that are fetched at the same time. Requirements are installed one after the other.
     */
    parallel: number
  }
  /**
   * A git repository with the workflows that all GPUs share. No edit on the machine is ever lost, and no service waits for it. Absent: they are on the volume only.
   */
  workflows?: {
    repository: Text
    branch: Text
    /**
     * The directory of the repository that has the workflows; it is found under the same name below `paths.shared`, and nothing else of the repository is touched. Absent: the whole repository is `workflows` below `paths.shared`. ComfyUI shows what is in `workflows`.
     */
    directory?: string
    /**
     * Whether what is saved on the machine is pushed to the branch. `false`: it is committed on the machine only.
     */
    push: boolean
    interval?: Duration
  }
  /**
   * How people get into the machine.
   */
  access: {
    /**
     * An SSH server (`sshd` of the package openssh-server), for root, by key alone. Its host key is made once and stays on the volume. No service waits for it. Absent: there is none.
     */
    ssh?: {
      /**
       * Whether it runs.
       */
      enabled: boolean
      port: Port
      listen: Address
      /**
       * Public keys of those who may log in, a line each as in `authorized_keys`.
       */
      authorizedKeys: string
      authorizedKeysFile?: Path
    }
  }
  /**
   * How the machine fetches custom nodes and workflows.
   */
  git: {
    /**
     * Protocols that git may use, those of submodules included.
     */
    protocols: ('https' | 'ssh' | 'http' | 'file')[]
    /**
     * Tokens for private repositories over https, each for its host alone.
     */
    credentials: GitCredential[]
    /**
     * Private key for repositories over ssh: its text, or that in base64. The three parts are where the original machines had it.
     */
    sshKey: string
    /**
     * Lines of a `known_hosts` file: keys of hosts, and no others are accepted. Empty: the key that a host shows first is kept on the volume, and it has to stay that one.
     */
    knownHosts: Text[]
  }
  /**
   * Where things are in the machine. The local target puts all of them below its state directory.
   */
  paths: {
    workspace: AbsolutePath
    shared: Path
    logs: Path
  }
  /**
   * The Redis of the job queue, to which the machine also says what happens on it.
   */
  redis: {
    /**
     * Its URL, user and password included: `redis://`, `rediss://` with TLS, or by Sentinel `redis+sentinel://host:port,host:port/master/db` (which job workers do not know). Without one events stay on the machine.
     */
    url: string
    /**
     * Token that workers show to the job API.
     */
    authToken: string
    certificateAuthority?: AbsolutePath
    /**
     * What it says there beside its own events, for the monitors and job APIs of the first machines (docs/events.md).
     */
    announcements: {
      /**
       * Whether `machine:startup:events` is told of the boot, of services that start and fail, and of the stop, with a record of each that is kept for a day.
       */
      startupEvents: boolean
      /**
       * Whether `machine:status:<id>` is told of the machine, its workers and their services, when they change and at each interval. Without it workers register themselves (`UNIFIED_MACHINE_STATUS=false`).
       */
      machineStatus: boolean
      /**
       * How often the status is said where nothing changes, from `1s` to `20s`: job APIs take a machine that was silent for 30 s for gone.
       */
      interval: string
    }
  }
  /**
   * The program that tells the truth about the machine over HTTP.
   */
  sidecar: {
    port: Port
    listen: Address
    /**
     * Where other hosts reach its API, as monitors are told. Absent: the machine's own address, with this port where `listen` lets others in, or else with that of the proxy and `/api`.
     */
    publicUrl?: string
    /**
     * Token that it wants to see before it changes something or shows logs. Empty: it makes one and keeps it in `<workspace>/.machine/api-token`, for its owner alone.
     */
    token: string
    /**
     * Origins of web pages that may use the API from a browser, a fleet monitor say; `*` for all. Other pages can neither read it nor change anything.
     */
    allowedOrigins: string[]
    /**
     * How it is stopped; it is the last to go.
     */
    stop: {
      timeout: Duration
    }
    logs: Logs
  }
}
/**
 * The proxy: one door to every service.
 */
export interface Nginx {
  /**
   * Whether nginx runs.
   */
  enabled: boolean
  port: Port
  listen: Address
  /**
   * User of its worker processes; the master stays root for ports below 1024 and the TLS key. The local target runs everything as the user who started it.
   */
  user: string
  healthEndpoint: UrlPath
  /**
   * Who may use the proxy. Without any credential everything but the health endpoint is closed.
   */
  auth: {
    /**
     * `off` opens every route to everybody who reaches the port.
     */
    mode: 'required' | 'off'
    /**
     * User name of basic authentication.
     */
    user: string
    /**
     * Password of basic authentication: in clear, or as a hash that htpasswd writes (`$apr1$`, `$6$`, `{SSHA}`, ...).
     */
    password: string
    /**
     * Token for `Authorization: Bearer`.
     */
    token: string
  }
  /**
   * TLS on a port of its own. Absent: none.
   */
  tls?: {
    port: Port
    certificate: AbsolutePath
    key: AbsolutePath
  }
  maxBodySize: Size
  /**
   * The ports of the original machines: one per GPU, behind the same credentials. `false` switches a row of ports off.
   */
  gpuPorts: {
    /**
     * Port in front of the ComfyUI of GPU 0; GPU n has the n-th after it.
     */
    comfyui: Port | false
    /**
     * Port in front of the Automatic1111 of GPU 0; GPU n has the n-th after it.
     */
    automatic1111: Port | false
  }
  restart: Restart
  /**
   * How long a start may take.
   */
  startup: {
    timeout: Duration
  }
  liveness: Liveness
  /**
   * How the service is asked to stop.
   */
  stop: {
    signal: Signal
    timeout: Duration
  }
  /**
   * The machine is healthy without it: while it does not work, `/health` answers 200 and names it as degraded.
   */
  optional: boolean
  /**
   * What happens to this service when one that it depends on was restarted and is ready again.
   */
  onDependencyRestart: 'restart' | 'keep'
  logs: Logs
}
/**
 * What is done when it dies by itself.
 */
export interface Restart {
  /**
   * Deaths within `window` after which it is given up and stays down.
   */
  maxAttempts: number
  window: Duration
  /**
   * The pause before it is started again.
   */
  backoff: {
    initial: Pause
    max: Duration
    /**
     * By how much each further death lengthens it.
     */
    factor: number
  }
}
/**
 * When it counts as dead although it runs; it is then restarted.
 */
export interface Liveness {
  interval: Duration
  timeout: Duration
  /**
   * Failed probes in a row that make it dead.
   */
  failures: number
}
/**
 * Its log directory, rotated by s6-log.
 */
export interface Logs {
  maxSize: Size
  /**
   * Archived files that are kept.
   */
  maxFiles: number
}
/**
 * ComfyUI, one process per GPU.
 */
export interface Comfyui {
  /**
   * Whether ComfyUI runs.
   */
  enabled: boolean
  /**
   * One ComfyUI per GPU; `false` gives a single one, on GPU 0.
   */
  perGpu: boolean
  basePort: Port
  /**
   * Distance between the ports of two GPUs.
   */
  portIncrement: number
  listen: Address
  healthEndpoint: UrlPath
  directory: Path
  python: Text
  gpuMemory?: Size
  command?: Command
  /**
   * Services (by their key in this file) that must be ready before this one starts, and that stop after it. Between two services with an instance per GPU it is the instance on the same GPU.
   */
  dependsOn: string[]
  /**
   * Further arguments for ComfyUI. Flags that the compiler owns are refused.
   */
  args: Text[]
  env: Env
  user?: User
  restart: Restart
  /**
   * How long a start may take.
   */
  startup: {
    timeout: Duration
  }
  liveness: JobLiveness
  /**
   * How the service is asked to stop.
   */
  stop: {
    signal: Signal
    timeout: Duration
  }
  /**
   * The machine is healthy without it: while it does not work, `/health` answers 200 and names it as degraded.
   */
  optional: boolean
  /**
   * What happens to this service when one that it depends on was restarted and is ready again.
   */
  onDependencyRestart: 'restart' | 'keep'
  logs: Logs
}
/**
 * Environment variables. A value with a `${VAR}` stays a reference until the machine boots and is then kept in a file of mode 0600.
 */
export interface Env {
  [k: string]: string | number | boolean
}
/**
 * When it counts as dead although it runs; it is then restarted. One that ran out of GPU memory is not dead; one whose log shows a CUDA fault is at once.
 */
export interface JobLiveness {
  interval: Duration
  timeout: Duration
  /**
   * Failed probes in a row that make it dead.
   */
  failures: number
  stall: Pause
}
/**
 * Automatic1111, one process per GPU.
 */
export interface Automatic1111 {
  /**
   * Whether Automatic1111 runs.
   */
  enabled: boolean
  /**
   * One Automatic1111 per GPU; `false` gives a single one, on GPU 0.
   */
  perGpu: boolean
  basePort: Port
  /**
   * Distance between the ports of two GPUs.
   */
  portIncrement: number
  listen: Address
  healthEndpoint: UrlPath
  directory: Path
  python: Text
  gpuMemory?: Size
  command?: Command
  /**
   * Services (by their key in this file) that must be ready before this one starts, and that stop after it. Between two services with an instance per GPU it is the instance on the same GPU.
   */
  dependsOn: string[]
  /**
   * Further arguments for Automatic1111. Flags that the compiler owns are refused.
   */
  args: Text[]
  env: Env
  user?: User
  restart: Restart
  /**
   * How long a start may take.
   */
  startup: {
    timeout: Duration
  }
  liveness: JobLiveness
  /**
   * How the service is asked to stop.
   */
  stop: {
    signal: Signal
    timeout: Duration
  }
  /**
   * The machine is healthy without it: while it does not work, `/health` answers 200 and names it as degraded.
   */
  optional: boolean
  /**
   * What happens to this service when one that it depends on was restarted and is ready again.
   */
  onDependencyRestart: 'restart' | 'keep'
  logs: Logs
}
/**
 * The worker that takes jobs from Redis, one per GPU.
 */
export interface RedisWorker {
  /**
   * Whether the worker runs.
   */
  enabled: boolean
  /**
   * One worker per GPU; `false` gives a single one, on GPU 0.
   */
  perGpu: boolean
  /**
   * Where its package comes from, a tar archive: downloaded once for all GPUs. What is installed from there stays at the next start; `machine-provision worker-package --update` fetches the newest.
   */
  downloadUrl: string
  /**
   * SHA-256 of that archive. Anything else is refused, and another one is fetched as soon as this is. Absent: what the URL has.
   */
  sha256?: string
  localPath?: Path
  /**
   * Kinds of job that it takes (`WORKER_CONNECTORS`). Empty: the services of this machine that it can drive.
   */
  connectors: string[]
  directory: Path
  command?: Command
  /**
   * Services that must be ready before it starts, and that stop after it. Absent: ComfyUI and Automatic1111 of the same GPU, as far as they are enabled.
   */
  dependsOn?: string[]
  /**
   * Further arguments for the worker. Flags that the compiler owns are refused.
   */
  args: Text[]
  env: Env
  user?: User
  restart: Restart
  /**
   * How long a start may take.
   */
  startup: {
    timeout: Duration
  }
  liveness: Liveness
  /**
   * How the service is asked to stop.
   */
  stop: {
    signal: Signal
    timeout: Duration
  }
  /**
   * The machine is healthy without it: while it does not work, `/health` answers 200 and names it as degraded.
   */
  optional: boolean
  /**
   * What happens to this service when one that it depends on was restarted and is ready again.
   */
  onDependencyRestart: 'restart' | 'keep'
  logs: Logs
}
/**
 * Ollama, one server for the machine.
 */
export interface Ollama {
  /**
   * Whether Ollama runs.
   */
  enabled: boolean
  port: Port
  listen: Address
  healthEndpoint: UrlPath
  /**
   * Models that it should have: missing ones are pulled, and those that this list had before are removed again, unless somebody else pulled them. Empty: none is pulled or removed. The first is the default model of the workers (`OLLAMA_DEFAULT_MODEL`).
   */
  models: string[]
  directory: Path
  /**
   * GPUs that it may use, by their number in this machine. Empty: all.
   */
  gpus: number[]
  keepAlive: Pause
  gpuMemory?: Size
  command?: Command
  /**
   * Services (by their key in this file) that must be ready before this one starts, and that stop after it. Between two services with an instance per GPU it is the instance on the same GPU.
   */
  dependsOn: string[]
  /**
   * Further arguments for `ollama serve`. Flags that the compiler owns are refused.
   */
  args: Text[]
  env: Env
  user?: User
  restart: Restart
  /**
   * How long a start may take.
   */
  startup: {
    timeout: Duration
  }
  liveness: Liveness
  /**
   * How the service is asked to stop.
   */
  stop: {
    signal: Signal
    timeout: Duration
  }
  /**
   * The machine is healthy without it: while it does not work, `/health` answers 200 and names it as degraded.
   */
  optional: boolean
  /**
   * What happens to this service when one that it depends on was restarted and is ready again.
   */
  onDependencyRestart: 'restart' | 'keep'
  logs: Logs
}
/**
 * A service of your own.
 */
export interface Custom {
  /**
   * Whether the service runs.
   */
  enabled: boolean
  command: Command
  /**
   * It runs once to its end and then stays down; what depends on it waits for its success. A failure is tried again within the restart budget.
   */
  task: boolean
  /**
   * One instance per GPU, pinned to it, named `<name>-gpu<n>`.
   */
  perGpu: boolean
  /**
   * GPUs that a single instance may use, by their number in this machine. Empty: all.
   */
  gpus: number[]
  gpuMemory?: Size
  port?: Port
  /**
   * Its probe. Absent: it counts as ready when it runs and, if it has a port, when that accepts connections.
   */
  health?: {
    path: UrlPath
  }
  /**
   * Path under which the proxy serves it, `/` at both ends; with `perGpu` each instance is below it (`/my-api/0/`). Absent: the proxy does not serve it.
   */
  route?: string
  directory?: Path
  /**
   * Services (by their key in this file) that must be ready before this one starts, and that stop after it. Between two services with an instance per GPU it is the instance on the same GPU.
   */
  dependsOn: string[]
  /**
   * Further arguments. Flags that the compiler owns are refused.
   */
  args: Text[]
  env: Env
  user?: User
  restart: Restart
  /**
   * How long a start may take.
   */
  startup: {
    timeout: Duration
  }
  liveness: Liveness
  /**
   * How the service is asked to stop.
   */
  stop: {
    signal: Signal
    timeout: Duration
  }
  /**
   * The machine is healthy without it: while it does not work, `/health` answers 200 and names it as degraded.
   */
  optional: boolean
  /**
   * What happens to this service when one that it depends on was restarted and is ready again.
   */
  onDependencyRestart: 'restart' | 'keep'
  logs: Logs
}
/**
 * One model file: where it comes from, and where it goes.
 */
export interface Model {
  /**
   * Where it comes from: `https://...`, `hf://ORG/REPOSITORY/PATH` with `@REVISION` at the end or not (Hugging Face), `civitai://MODEL_VERSION_ID`, or a bucket: `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`. No credential may stand in it.
   */
  url: string
  /**
   * The model folder it goes to, by ComfyUI's name for it: `checkpoints`, `loras`, `vae`, `controlnet`, `diffusion_models`, ...
   */
  folder: string
  /**
   * What it is called in the folder; with `/` for a folder in it. Absent: as the source calls it.
   */
  file?: string
  /**
   * SHA-256 of the file. Anything else that arrives is refused. Absent: what the source says of it, and what the file says of itself.
   */
  sha256?: string
  /**
   * Its exact size in bytes. Absent: what the source says.
   */
  sizeBytes?: number
  /**
   * `before-start`: ComfyUI and Automatic1111 wait for it. `background`: they do not, and find it when it is there.
   */
  when: 'before-start' | 'background'
  /**
   * The machine is complete without it: that it cannot be had is a warning.
   */
  optional: boolean
  /**
   * Bearer token for the host of `url`, sent to no other. Absent: `HF_TOKEN` for huggingface.co, `CIVITAI_TOKEN` for civitai.com, where they are set.
   */
  token?: string
}
/**
 * One custom node, in the format of the original machines' `config_nodes.json`.
 */
export interface CustomNode {
  name?: Text
  url: Text
  branch?: Text
  commit?: Text
  /**
   * Whether its submodules are fetched too.
   */
  recursive: boolean
  /**
   * Whether its `requirements.txt` is installed for the Python of ComfyUI. torch, torchvision, torchaudio, numpy and xformers stay at the versions that are installed.
   */
  requirements: boolean
  env: Env
  custom_script?: Text
  /**
   * ComfyUI does not start without it. Else a node that cannot be installed is a warning, and ComfyUI starts with the others.
   */
  required: boolean
}
/**
 * A token for a git host.
 */
export interface GitCredential {
  /**
   * The host that it is for, with its port where that is not the usual one. It is sent to no other.
   */
  host: string
  /**
   * User that goes with it. Most hosts take any.
   */
  user: string
  /**
   * The token.
   */
  token: string
}
