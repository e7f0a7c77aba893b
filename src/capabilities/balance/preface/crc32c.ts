/** CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), which PROXY headers carry; Node has the other CRC-32 only. */

/** Of `length` bytes, an unsigned number. */
export function crc32c(bytes: Uint8Array, length: number = bytes.length): number {
  let crc = 0xffffffff
  for (let at = 0; at < length; at++) {
    crc = (table[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8)
  }
  return ~crc >>> 0
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})
