/** A TAI64N label counts from 2^62, and TAI was 10 s ahead of UTC in 1970. */
const TAI64_EPOCH = 2n ** 62n

/**
 * Seconds by which the labels of s6 are ahead of UTC: 10 from 1970 and 27 leap seconds since, the last in 2016. skalibs
 * has the same table built in, and no further leap second is announced.
 */
const TAI_OFFSET_SECONDS = 37n

export const TAI64N_LENGTH = 12

/** Milliseconds since 1970 of the 12-byte TAI64N label at `offset`; 0 for the label that s6 writes for "never". */
export function readTai64n(bytes: Uint8Array, offset: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const seconds = view.getBigUint64(offset) - TAI64_EPOCH - TAI_OFFSET_SECONDS
  return seconds <= 0n ? 0 : Number(seconds) * 1000 + view.getUint32(offset + 8) / 1e6
}
