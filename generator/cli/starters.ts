const small = `
# A GPU machine. See what it becomes:  machinegen plan
# Run it here, without a GPU:          machinegen up --simulate --port-offset 10000

machine:
  id: my-machine # workers are called my-machine-worker-0, ...
  gpu:
    count: 1 # or auto: what nvidia-smi finds
    memoryGB: 24
    model: RTX 4090

services:
  nginx: {} # one door to everything, port 80; closed until auth.password or auth.token is set
  comfyui:
    basePort: 8188 # GPU n has the n-th port after it
`

const full = `
# A GPU machine with everything. See what it becomes:  machinegen plan
# Run it here, without a GPU:  machinegen up --simulate --port-offset 10000

machine:
  id: my-machine # workers are called my-machine-worker-0, ...
  gpu:
    count: 2 # or auto: what nvidia-smi finds
    memoryGB: 24
    model: RTX 4090

services:
  nginx:
    port: 80
    auth: # one of the two opens the door; \${...} is read when the machine boots and stands in no file
      password: \${PROXY_PASSWORD:-}
      token: \${PROXY_TOKEN:-}

  comfyui: # one on each GPU
    basePort: 8188 # GPU n has the n-th port after it
    args: [--fast]

  automatic1111:
    basePort: 3001

  redisWorker: {} # takes jobs for what runs on its GPU

  ollama:
    port: 11434
    models: [llama3]
    keepAlive: 30s # gives the GPU back to the others

  my-api: # any other name is a service of your own
    command: [node, server.js]
    directory: my-api
    port: 7000
    health: { path: /ok }
    route: /my-api/
    dependsOn: [comfyui]

redis:
  url: \${HUB_REDIS_URL:-}
  authToken: \${WORKER_WEBSOCKET_AUTH_TOKEN:-}
`

/** The machine files that \`init\` writes. */
export const STARTERS = { small: small.slice(1), full: full.slice(1) } as const
