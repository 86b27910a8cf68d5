/**
 * The plan: everything that the machine file means, resolved. The compiler makes it, every emitter reads it, and the
 * runtime reads its JSON form (`plan.json`): nothing downstream computes a port, a name or a path. It holds no secret.
 */
export interface Plan {
  readonly version: 1
  readonly target: Target
  /** Stand-ins run in the place of the GPU services. */
  readonly simulate: boolean
  readonly machine: PlannedMachine
  readonly gpus: readonly PlannedGpu[]
  readonly paths: MachinePaths
  /** Directories that setup creates before anything starts, parents first. */
  readonly directories: readonly PlannedDirectory[]
  /** Symbolic links that setup makes where nothing is in their place. */
  readonly links: readonly PlannedLink[]
  /** In an order in which each comes after all that it waits for. The sidecar is the first. */
  readonly services: readonly PlannedService[]
  /** Names that address several services: `gpu0`, `comfyui`, ... */
  readonly bundles: Readonly<Record<string, readonly string[]>>
  readonly proxy: PlannedProxy | null
  readonly sidecar: PlannedSidecar
  readonly redis: PlannedRedis
  readonly secrets: readonly PlannedSecret[]
  /** Files that setup writes with secrets resolved, mode 0600: the workers' `.env`. */
  readonly secretFiles: readonly PlannedSecretFile[]
  readonly provisioning: PlannedProvisioning
  /** `null`: nobody logs in. */
  readonly ssh: PlannedSsh | null
  readonly stopBudget: StopBudget
}

export interface PlannedSidecar {
  readonly listen: string
  readonly address: string
  readonly port: number
  /** `null`: none is given, so that the sidecar makes one. It resolves the secret itself: it runs before setup. */
  readonly tokenSecret: string | null
  /** Where other hosts reach its API, without a slash at the end. `{address}` in it stands for the machine's own address. */
  readonly publicUrl: string
  /** Origins of pages that may use its API from a browser; `*` for all. */
  readonly allowedOrigins: readonly string[]
}

/** `container`: s6-overlay. `local`: plain s6 as distributions package it. */
export type Target = 'container' | 'local'

export interface PlannedMachine {
  readonly id: string
  readonly stopGracePeriodMs: number
  readonly s6Overlay: string
}

export interface PlannedGpu {
  readonly index: number
  /** What CUDA_VISIBLE_DEVICES names: an index in PCI bus order, or a UUID. */
  readonly device: string
  readonly memoryBytes: number
  readonly memoryGB: number
  readonly model: string
  readonly mock: boolean
}

/** Where the machine's events go. */
export interface PlannedRedis {
  /** The secret with the URL; `null`: events stay on the machine. It may resolve to nothing at boot, which means the same. */
  readonly urlSecret: string | null
  /** File with the certificates (PEM) of who vouches for a server with TLS. */
  readonly certificateAuthority: string | null
  readonly announcements: PlannedAnnouncements
}

/** What is said for the monitors and job APIs of the first machines. */
export interface PlannedAnnouncements {
  /** The channel `machine:startup:events` and its records. */
  readonly startupEvents: boolean
  /** The channel `machine:status:<id>`. */
  readonly machineStatus: boolean
  /** How often the status is said where nothing changes. */
  readonly intervalMs: number
}

/** Absolute paths, as the running machine sees them. */
export interface MachinePaths {
  /** `/` in a container, the state directory for the local target. Artifact paths are relative to it. */
  readonly root: string
  readonly workspace: string
  readonly shared: string
  readonly logs: string
  /** What the compiler emitted, read-only at run time: plan.json, nginx.conf, secrets that stood in the machine file. */
  readonly config: string
  /** Shell scripts that `run` and `finish` call. */
  readonly library: string
  /** The bundled programs: sidecar.js, provision.js, simulate.js. */
  readonly programs: string
  /** Volatile state, empty after a restart: gates, process groups, resolved secrets. */
  readonly run: string
  /** `<run>/ready`: a file per ready service. */
  readonly gates: string
  /** The directory whose entries are the live service directories. */
  readonly services: string
  /** State that outlives restarts, on the volume. */
  readonly state: string
}

export interface PlannedDirectory {
  readonly path: string
  readonly mode: number
  readonly user: string | null
}

export interface PlannedLink {
  readonly path: string
  readonly target: string
  /** Only where the target is there: a program that the image may have. */
  readonly ifTargetExists?: true
  /** Owner of the directories that are made for it. */
  readonly user: string | null
}

export type ServiceType =
  | 'sidecar'
  | 'nginx'
  | 'comfyui'
  | 'automatic1111'
  | 'redis-worker'
  | 'ollama'
  | 'custom'
  | 'sshd'
  /** A task of the machine's own: models, custom nodes, ... */
  | 'provision'

export interface PlannedService {
  /** Instance name: `comfyui-gpu0`, `nginx`, `my-api`. */
  readonly name: string
  readonly type: ServiceType
  /** Its key in the machine file; `sidecar` for the sidecar. */
  readonly key: string
  readonly gpu: number | null
  /** A task runs once to its success and stays down. */
  readonly kind: 'longrun' | 'task'
  /** No shell reads it. */
  readonly command: readonly string[]
  readonly workingDirectory: string | null
  /** Files without which the service cannot start, checked before the command: a clear message in place of a crash. */
  readonly requiredFiles: readonly string[]
  readonly user: string | null
  readonly environment: Readonly<Record<string, string>>
  /** Variable -> name of a secret, resolved at boot. */
  readonly secretEnvironment: Readonly<Record<string, string>>
  /** How many instances share the CPUs: threads of each are clamped to its share. `null`: no clamp. */
  readonly threadShare: number | null
  /** Address that it binds. */
  readonly listen: string | null
  /** Where it is reached from inside the machine: `listen`, or loopback where that is a wildcard. */
  readonly address: string | null
  readonly port: number | null
  readonly probe: Probe | null
  /** Services whose gate must be open before the command runs. */
  readonly waitsFor: readonly string[]
  /** Services that must still be up while this one stops: the s6-rc dependencies, direct ones only. */
  readonly stopsBefore: readonly string[]
  /** `null`: it is started again for ever. */
  readonly restart: RestartBudget | null
  readonly startupTimeoutMs: number
  readonly liveness: {
    readonly intervalMs: number
    readonly timeoutMs: number
    readonly failures: number
    /** Types that run jobs: how long one may show no progress; 0 for ever. */
    readonly stallMs?: number
  }
  readonly stop: { readonly signal: string; readonly timeoutMs: number }
  readonly onDependencyRestart: 'restart' | 'keep'
  /** The machine is healthy without it; while it does not work, the machine is degraded. */
  readonly optional: boolean
  readonly logs: { readonly directory: string; readonly maxSizeBytes: number; readonly maxFiles: number }
  /** Set where the supervisor is told of readiness on a file descriptor (s6 `notification-fd`). */
  readonly readiness: { readonly fd: number; readonly timeoutUpMs: number } | null
  /** `<machine>-worker-<gpu>`, the one form that all consumers parse. */
  readonly workerId: string | null
}

export interface RestartBudget {
  readonly maxAttempts: number
  readonly windowMs: number
  readonly backoff: { readonly initialMs: number; readonly maxMs: number; readonly factor: number }
}

/** How the sidecar sees that a service is ready. */
export type Probe =
  /** 200 to 299; `expect` names the JSON shape of the type's own endpoint. */
  | {
      readonly kind: 'http'
      readonly path: string
      readonly expect: 'status' | 'comfyui' | 'automatic1111' | 'ollama' | 'proxy'
    }
  /** The port accepts connections. */
  | { readonly kind: 'tcp' }
  /** It has run for this long. */
  | { readonly kind: 'uptime'; readonly graceMs: number }
  /** It has finished with success (`finish` opens its gate). */
  | { readonly kind: 'task' }

export interface PlannedProxy {
  readonly listen: string
  readonly port: number
  readonly tls: { readonly port: number; readonly certificate: string; readonly key: string } | null
  /** Answers for the whole machine, without a credential. */
  readonly healthPath: string
  /** Answers 200 as soon as nginx itself works, without a credential; for probes. */
  readonly alivePath: string
  readonly auth: {
    readonly mode: 'required' | 'off'
    readonly user: string
    readonly passwordSecret: string | null
    readonly tokenSecret: string | null
  }
  /** Where setup puts what nginx reads: htpasswd file and bearer map. */
  readonly credentialFiles: { readonly htpasswd: string; readonly bearerMap: string }
  readonly maxBodyBytes: number
  readonly routes: readonly ProxyRoute[]
  /** The originals' ports, one server each. */
  readonly gpuPorts: readonly { readonly port: number; readonly service: string }[]
  readonly configFile: string
  readonly pidFile: string
  /** User of the worker processes; the master stays what it is started as, for ports below 1024 and keys. */
  readonly workerUser: string
  /** Where nginx writes its JSON lines. To its standard output, they reach s6-log, which rotates them. */
  readonly accessLog: string
  /** Where the logger of nginx keeps the JSON lines, apart from messages. */
  readonly accessLogDirectory: string
  /** Directory for request bodies and other temporary files. */
  readonly temporaryDirectory: string
}

export type ProxyRoute =
  /** `/comfyui/0/` -> one instance. */
  | {
      readonly kind: 'service'
      readonly path: string
      readonly service: string
      readonly host: 'forward' | 'localhost'
    }
  /** `/comfyui/` -> all instances of a key, sticky per client. */
  | { readonly kind: 'balanced'; readonly path: string; readonly services: readonly string[] }
  /** `/api/` -> the sidecar. */
  | { readonly kind: 'sidecar'; readonly path: string }

export interface PlannedSecret {
  /** File name below `<run>/secrets/`. */
  readonly name: string
  /** JSON pointer of the field it stands in. */
  readonly field: string
  /**
   * `reference`: the template with its `${VAR}`, resolved from the environment at boot. `literal`: it stood in the
   * machine file; only the artifact at `file` (mode 0600) holds it.
   */
  readonly source:
    | { readonly kind: 'reference'; readonly template: string }
    | { readonly kind: 'literal'; readonly file: string }
}

export interface PlannedSecretFile {
  readonly path: string
  /** The service whose whole environment it holds, secrets resolved: lines of `KEY=value`, sorted. */
  readonly service: string
}

/** What the tasks of the machine fetch and check. */
export interface PlannedProvisioning {
  readonly ollamaModels: readonly string[]
  /** `null`: no job worker runs, or one that brings its own program. */
  readonly workerPackage: PlannedWorkerPackage | null
  /** `null`: nothing is checked. */
  readonly verification: PlannedVerification | null
  readonly models: readonly PlannedModel[]
  readonly downloads: PlannedDownloads
  /** Variable (`HF_TOKEN`) -> name of the secret that it gives; those that the sources of this machine need. */
  readonly credentials: Readonly<Record<string, string>>
  /** `null`: the machine has none, or no ComfyUI. */
  readonly customNodes: PlannedCustomNodes | null
  readonly workflows: PlannedWorkflows | null
  /** `null`: nothing of this machine comes from git. */
  readonly git: PlannedGit | null
}

/** How git reaches its hosts. */
export interface PlannedGit {
  readonly protocols: readonly string[]
  readonly credentials: readonly { readonly host: string; readonly user: string; readonly tokenSecret: string }[]
  readonly sshKeySecret: string | null
  /** Lines of known_hosts; empty: the first key that a host shows is kept. */
  readonly knownHosts: readonly string[]
}

export interface PlannedCustomNodes {
  /** A list on the volume, read when the machine starts; `null`: none. */
  readonly file: string | null
  readonly nodes: readonly PlannedNode[]
  /** Where they go. */
  readonly directory: string
  readonly parallel: number
  /** The Python of ComfyUI and where it is started; `null` where a stand-in runs: nothing is installed then. */
  readonly python: { readonly command: string; readonly directory: string } | null
  /** Who ComfyUI runs as, and who owns the nodes. */
  readonly user: string | null
}

export interface PlannedNode {
  /** What messages call it: `customNodes.nodes[2]`. */
  readonly entry: string
  readonly name: string
  readonly url: string
  readonly branch: string | null
  readonly commit: string | null
  readonly recursive: boolean
  readonly requirements: boolean
  /** Variable -> template, filled in when the node is installed. */
  readonly environment: Readonly<Record<string, string>>
  /** Variable -> name of a secret that stood in the machine file. */
  readonly secretEnvironment: Readonly<Record<string, string>>
  readonly customScript: string | null
  readonly required: boolean
}

export interface PlannedWorkflows {
  readonly repository: string
  readonly branch: string
  /** Where the files of the repository belong. */
  readonly workTree: string
  /** The part of the repository that is taken, relative to it; `null`: all of it. */
  readonly part: string | null
  readonly push: boolean
  /** `null`: at each start only. */
  readonly intervalMs: number | null
  /** Who owns the files. */
  readonly user: string | null
}

/** One package for the workers of all GPUs. */
export interface PlannedWorkerPackage {
  /** Where it comes from, unless it is on the machine. */
  readonly url: string
  /** A directory or an archive on the machine, in the place of the URL. */
  readonly localPath: string | null
  /** SHA-256 of the archive, in lower case. */
  readonly sha256: string | null
  /** Holds `versions/<version>`, and the links `current` and `previous` to two of them. */
  readonly directory: string
  /** The program's file in the package, looked for where the first machines did. */
  readonly entryName: string
  /** Its name in every version, whatever the package calls it. */
  readonly entryLink: string
}

/** What the last task of a boot does. */
export interface PlannedVerification {
  /** How long it waits for what is still starting. */
  readonly timeoutMs: number
}

/** The SSH server of the machine. */
export interface PlannedSsh {
  /** sshd itself. */
  readonly program: string
  readonly port: number
  readonly listen: string
  /** Public keys as text, where the machine file has them. */
  readonly authorizedKeys: string | null
  /** Public keys by the name of a secret: known when the machine boots. */
  readonly authorizedKeysSecret: string | null
  /** A file with more of them. */
  readonly authorizedKeysSource: string | null
  /** On the volume: a machine that restarts is the same one to its users. */
  readonly hostKey: string
  /** What sshd reads: both sources, checked. */
  readonly authorizedKeysFile: string
  readonly configFile: string
}

export interface PlannedDownloads {
  readonly parallelFiles: number
  readonly segments: number
  /** `null`: no limit. */
  readonly bandwidthBytesPerSecond: number | null
  readonly retries: number
}

export interface PlannedModel {
  /** What messages call it: `models[2]`. */
  readonly entry: string
  /** As the machine file has it. */
  readonly url: string
  readonly source: ModelSource
  readonly folder: string
  /** Where that folder is. */
  readonly directory: string
  /** Path in the directory; `null`: the source says what it is called. */
  readonly file: string | null
  readonly sha256: string | null
  readonly sizeBytes: number | null
  readonly when: 'before-start' | 'background'
  readonly optional: boolean
  /** Its own token, by the name of the secret. */
  readonly tokenSecret: string | null
  /** Size and hash come from the lock file: the source may say what it likes. */
  readonly locked: boolean
}

export type ModelSource =
  | { readonly kind: 'http'; readonly url: string }
  /** `repository` as in URLs: `org/name`, or `datasets/org/name`. */
  | {
      readonly kind: 'huggingface'
      readonly repository: string
      readonly path: string
      readonly revision: string
    }
  | { readonly kind: 'civitai'; readonly versionId: string }
  | { readonly kind: 'bucket'; readonly provider: 's3' | 'gs' | 'az'; readonly bucket: string; readonly path: string }

export interface StopBudget {
  /** The longest chain, in the order in which it stops. */
  readonly chain: readonly { readonly service: string; readonly timeoutMs: number }[]
  readonly totalMs: number
  readonly stopGracePeriodMs: number
}
