/** Variables that the original machines had and that change nothing here. */
export interface UnreadVariables {
  /** Names as Markdown. */
  readonly names: string
  /** Why, and what to do instead. */
  readonly instead: string
}

const SECRETS = '[references](#secrets) in their fields, resolved when the machine boots'

export const UNREAD_VARIABLES: readonly UnreadVariables[] = [
  {
    names: '`HUB_REDIS_URL`, `WORKER_WEBSOCKET_AUTH_TOKEN`, `SERVER_CREDS`',
    instead: `Secrets: they are the defaults of \`redis.url\`, \`redis.authToken\` and \`services.nginx.auth.password\`, as ${SECRETS}.`,
  },
  {
    names: '`REDIS_PORT`',
    instead: 'One URL says it all: `redis.url`, with `rediss://` for TLS.',
  },
  {
    names: '`WORKER_REDIS_API_HOST`, `WORKER_REDIS_API_PORT`, `WORKER_USE_SSL`, `WORKER_RAM_GB`',
    instead: 'Not read by the compiler: each worker gets what the machine has in them when it boots.',
  },
  {
    names: '`LOG_MAX_SIZE`, `LOG_MAX_FILES`',
    instead:
      'Not read: `14d` counts days and s6-log counts files, and a custom service has no name that a table could know. Set `logs.maxSize` and `logs.maxFiles` of each service.',
  },
  {
    names: '`LOG_TO_FILE`, `LOG_FORMAT`',
    instead:
      'Not read: every service logs to a file and to the output of the container, line by line as it writes them.',
  },
  {
    names: '`LOG_LEVEL`, `DEBUG`, `WORKER_LOG_LEVEL`',
    instead: 'Not read by the compiler. Give them to the service that reads them, with its `env`.',
  },
  {
    names: '`DEBUG_HOOK_BEFORE_CD_SERVICE_MANAGER`, `DEBUG_HOOK_BEFORE_NODE_START`',
    instead: 'Not read: there is no start-up script to pause. `s6-svc -d` keeps a single service down.',
  },
  {
    names: '`HEALTH_CHECK_INTERVAL`, `HEALTH_CHECK_TIMEOUT`, `STARTUP_GRACE_PERIOD`',
    instead:
      'Not read; the originals checked them and used none. Set `liveness.interval`, `liveness.timeout` and `startup.timeout` of a service.',
  },
  {
    names: '`UNIFIED_MACHINE_STATUS`',
    instead:
      'Not read: workers get `true` where the machine publishes their state (`redis.announcements.machineStatus`), `false` where they have to do it.',
  },
  {
    names: '`MACHINE_HAS_GPU`, `MACHINE_CPU_CORES`, `MACHINE_RAM_GB`, `MACHINE_DISK_GB`',
    instead:
      'Not read: CPU, memory and disk are what the machine finds; workers get `MACHINE_RAM_GB` as their `WORKER_RAM_GB`. A machine without GPUs has `machine.gpu.count: 0`.',
  },
  {
    names: '`MACHINE_BASE_ID`, `TELEMETRY_ENV`, `WORKER_ID`, `WORKER_ID_PREFIX`',
    instead: 'Not read: an id is the same after every start. Set `MACHINE_ID`; workers are `<id>-worker-<gpu>`.',
  },
  {
    names: '`MACHINE_INSTANCE`, `EXPOSE_PORTS`, `EXPOSED_PORTS`',
    instead:
      'Not read: the container engine maps ports (`-p 9100:9090`); on one host `--port-offset N` moves all of them.',
  },
  {
    names: '`COMFYUI_EXPOSE_PORTS`, `COMFYUI_EXPOSED_HOST_PORT_BASE`, `COMFYUI_EXPOSED_CONTAINER_PORT_BASE`',
    instead: 'Not read: the proxy has a port for each GPU, `services.nginx.gpuPorts`.',
  },
  {
    names: '`COMFYUI_PORT_END`, `A1111_PORT_END`',
    instead: 'Not read: the last port follows from the first one, the increment and the number of GPUs.',
  },
  {
    names: '`CUT_PK_1`, `CUT_PK_2`, `CUT_PK_3`',
    instead: `The default of \`git.sshKey\` has them, as ${SECRETS}.`,
  },
  {
    names: '`SERVICE_MANAGER_PATH`, `PM2_HOME`',
    instead: 'Not read: s6 supervises the services, there is no PM2.',
  },
  {
    names: '`ENABLE_SIMULATION`, `SIMULATION_*`, `ENABLE_HELLO_WORLD`, `HELLO_INTERVAL`',
    instead:
      'Not read: `--simulate` puts stand-ins in the place of the GPU services. `WORKER_CONNECTORS=simulation` still works.',
  },
  {
    names: '`COMFY_REPO_URL`, `COMFYUI_REPO_URL`, `COMFYUI_BRANCH`, `COMFYUI_COMMIT`',
    instead:
      'Not read: ComfyUI is run from `services.comfyui.directory`; what lies there is up to the image or the volume.',
  },
  {
    names: '`HF_TOKEN`, `CIVITAI_TOKEN`',
    instead:
      'Not read by the compiler: the task that downloads `models` takes them when the machine boots. Give them to a service by reference: `env: { HF_TOKEN: "${HF_TOKEN:-}" }`.',
  },
  {
    names: '`OPENAI_API_KEY`, `EMPROPS_API_KEY`, `EMPROPS_API_URL`, `EMP_API_URL`',
    instead:
      'Not read by the compiler. Give them to a service by reference: `env: { OPENAI_API_KEY: "${OPENAI_API_KEY:-}" }`.',
  },
  {
    names:
      '`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SECRET_ACCESS_KEY_ENCODED`, `AWS_DEFAULT_REGION`, `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_KEY`, `GOOGLE_APPLICATION_CREDENTIALS`',
    instead:
      'Not read by the compiler: the task that downloads `models` takes them when the machine boots, for `s3://`, `az://` and `gs://`.',
  },
  {
    names:
      '`GCS_BUCKET`, `CLOUD_*`, `STORAGE_TEST_MODE`, `SKIP_AWS_SYNC`, `SKIP_AZURE_SYNC`, `SKIP_STORAGE_SYNC`, `FORCE_MODEL_SYNC`, `MAX_SYNC_AGE_DAYS`, `TEST_MODEL_*`, `STATIC_MODELS`',
    instead:
      'Not read: no bucket is mirrored whole. Each file that the machine needs stands in `models`, and is fetched when it is missing or another.',
  },
  {
    names: '`USE_LOCAL_WORKER`, `STANDALONE_MODE`',
    instead: 'Not read: `services.redisWorker.localPath` takes a package that is on the machine.',
  },
  {
    names: '`WORKER_COMFYUI_HOST`, `WORKER_COMFYUI_PORT`, `COMFYUI_HOST`, `COMFYUI_PORT`, and the same for `A1111`',
    instead: 'Not read: the compiler gives each worker the address of the service on its own GPU.',
  },
  {
    names: 'every other `WORKER_*` and `QUALITY_LEVELS`, `MAX_PROCESSING_TIME_MINUTES`, ...',
    instead: 'Not read by the compiler. Give them to the workers: `services.redisWorker.env`.',
  },
  {
    names:
      '`COMPONENTS`, `COLLECTIONS`, `EMP_ENV_DECRYPT_KEY`, `DISABLE_ENV_ENCRYPTION`, `CUSTOM_LOG_FILES`, `OTEL_*`, `DASH0_*`, `LANGFLOW_*`',
    instead: 'Not read: what they steered is no part of a machine here.',
  },
]
