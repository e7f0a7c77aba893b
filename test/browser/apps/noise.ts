/** Bytes that both sides of a test know: no two parts are the same, and making them takes next to no time. */

export const noisePartBytes = 65_536

const base: Uint8Array = new Uint8Array(noisePartBytes).map((_, index) => (index * 31 + (index >> 8) * 7) & 255)

export function noisePart(index: number): Uint8Array<ArrayBuffer> {
  const part = new Uint8Array(base)
  new DataView(part.buffer).setUint32(0, index)
  return part
}

export function* noiseParts(bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes; at += noisePartBytes) {
    yield noisePart(at / noisePartBytes).subarray(0, Math.min(noisePartBytes, bytes - at))
  }
}
