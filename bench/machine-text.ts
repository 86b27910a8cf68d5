/** A machine with everything on, like the example, with so many GPUs. */
export function machineText(gpuCount: number): string {
  return `machine:
  id: bench-machine
  gpu: { count: ${gpuCount}, memoryGB: 80, model: H100 }
services:
  nginx: { port: 80 }
  comfyui: { basePort: 8188, args: [--fast], env: { HF_HOME: /workspace/cache, HF_TOKEN: "\${HF_TOKEN:-}" } }
  automatic1111: { basePort: 3001 }
  redisWorker: { stop: { timeout: 20s } }
  ollama: { port: 11434, models: [llama3], keepAlive: 30s }
  my-api: { command: [node, server.js], port: 7000, route: /my-api/, health: { path: /ok } }
redis:
  url: "\${HUB_REDIS_URL:-}"
`
}
