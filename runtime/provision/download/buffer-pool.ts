/** Buffers that are used again: the memory of many short transfers would else grow between two collections. */
export interface BufferPool {
  readonly take: () => Buffer
  /** One of another size is not kept. */
  readonly give: (buffer: Buffer) => void
}

export function createBufferPool(sizeBytes: number): BufferPool {
  const free: Buffer[] = []
  return {
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(sizeBytes),
    give: (buffer) => {
      if (buffer.length === sizeBytes) free.push(buffer)
    },
  }
}
