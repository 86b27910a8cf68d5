/** Buffers that are used again: the memory of many short transfers would else grow between two collections. */
export interface BufferPool {
  readonly with: <Result>(use: (buffer: Buffer) => Promise<Result>) => Promise<Result>
}

export function createBufferPool(sizeBytes: number): BufferPool {
  const free: Buffer[] = []
  return {
    with: async (use) => {
      const buffer = free.pop() ?? Buffer.allocUnsafeSlow(sizeBytes)
      try {
        return await use(buffer)
      } finally {
        free.push(buffer)
      }
    },
  }
}
