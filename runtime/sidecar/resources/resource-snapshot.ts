/** What the machine's resources are at one moment. `null` is what cannot be known here; never a guess. */
export interface ResourceSnapshot {
  readonly atMs: number
  readonly gpus: readonly GpuReading[]
  /** Why GPUs cannot be read: nvidia-smi is missing, hangs, or answers nonsense. */
  readonly gpuProblem: string | null
  /** GPUs that the plan declares and the host does not show. */
  readonly missingGpus: readonly number[]
  readonly cpu: {
    /** Cores that the container may use: its quota, else the host's. */
    readonly cores: number
    /** 0 to `cores`, over the time since the last snapshot. */
    readonly usedCores: number | null
    readonly throttledSeconds: number | null
  }
  readonly memory: {
    readonly totalBytes: number
    readonly usedBytes: number
    /** Kills by the kernel for want of memory in this cgroup, since it was made. */
    readonly oomKills: number | null
  }
  readonly disks: readonly {
    readonly path: string
    readonly totalBytes: number
    readonly freeBytes: number
    readonly freeInodes: number | null
  }[]
}

export interface GpuReading {
  /** Index in the plan. */
  readonly index: number
  readonly uuid: string | null
  readonly name: string | null
  /** 0 to 1. */
  readonly utilization: number | null
  readonly memoryTotalBytes: number | null
  readonly memoryUsedBytes: number | null
  readonly temperatureCelsius: number | null
  readonly powerWatts: number | null
  readonly powerLimitWatts: number | null
  /** Uncorrected ECC errors since the driver was loaded. */
  readonly eccUncorrected: number | null
  /** XID errors that this sidecar has seen for it. */
  readonly xidErrors: number | null
  readonly mig: boolean
  readonly mock: boolean
}
