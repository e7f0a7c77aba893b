/**
 * CRC-32 as zlib, Ethernet and PNG have it (polynomial 0xEDB88320, reflected): what CHECK frames carry. This portable
 * version takes four bytes a step; a host that has a native one passes that instead (Node: `zlib.crc32`).
 */

/** `crc32(b, crc32(a))` is the sum of `a` followed by `b`. */
export type Checksum = (bytes: Uint8Array, seed: number) => number

const tables: Uint32Array[] = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)]
const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
for (let byte = 0; byte < 256; byte++) {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  t0[byte] = value
}
for (let byte = 0; byte < 256; byte++) {
  t1[byte] = ((t0[byte] as number) >>> 8) ^ (t0[(t0[byte] as number) & 255] as number)
  t2[byte] = ((t1[byte] as number) >>> 8) ^ (t0[(t1[byte] as number) & 255] as number)
  t3[byte] = ((t2[byte] as number) >>> 8) ^ (t0[(t2[byte] as number) & 255] as number)
}

export const crc32: Checksum = (bytes, seed) => {
  let crc = ~seed
  let at = 0
  for (const end = bytes.length - 3; at < end; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t3[crc & 255] as number) ^
      (t2[(crc >>> 8) & 255] as number) ^
      (t1[(crc >>> 16) & 255] as number) ^
      (t0[crc >>> 24] as number)
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 255] as number)
  return ~crc >>> 0
}
