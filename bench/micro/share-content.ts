/**
 * What it costs to name, seal and cut what is shared, in GB per CPU second and thread: hashes, native and in JavaScript, by the
 * size of a chunk; AES-256-GCM; content-defined pieces, and what they save when bytes are put in. By hand:
 * `node bench/micro/share-content.ts`. The figures stand in docs/decisions/0014-share-code-and-encryption.md.
 */

import { SeededRandom } from "../../src/base/random.ts"
import type { HashName } from "../../src/capabilities/share/content/chunk-crypto.ts"
import { chunkBoundsFor, chunkSizeFor } from "../../src/capabilities/share/content/chunk-size.ts"
import { contentChunker, fixedChunker, isZeros } from "../../src/capabilities/share/content/chunker.ts"
import type { Chunker } from "../../src/capabilities/share/content/chunker.ts"
import { portableCrypto } from "../../src/capabilities/share/content/portable-crypto.ts"
import { deriveKeys } from "../../src/capabilities/share/code/derive-keys.ts"
import { hasNativeBlake3, nodeCrypto } from "../../src/capabilities/share/node/node-crypto.ts"
import { nodeKeys } from "../../src/capabilities/share/node/node-keys.ts"

const [kib, mib] = [2 ** 10, 2 ** 20]
const sizes = [16 * kib, 64 * kib, 256 * kib, mib]

const code = { swarm: "482713", secret: new Uint8Array(9) }
const started = performance.now()
await nodeKeys(code)
const native = performance.now()
const keys = await deriveKeys(code)
console.log(
  `keys of a code: ${Math.round(native - started)} ms, in JavaScript ${Math.round(performance.now() - native)} ms`,
)

console.log(`GB per CPU second              ${sizes.map((size) => `${size / kib} KiB`.padStart(10)).join("")}`)
if (!hasNativeBlake3()) console.log("(BLAKE3 is not native here)")
for (const name of ["blake3", "sha256"] as const) {
  const node = nodeCrypto(keys, name)
  await row(`hash, ${name}`, 512 * mib, (chunk) => node.hash(chunk))
  await row(`identity, ${name}`, 512 * mib, (chunk) => node.identify(chunk))
  const portable = portableCrypto(keys, name)
  await row(`hash, ${name}, JavaScript`, 64 * mib, (chunk) => portable.hash(chunk))
}
for (const name of ["blake3", "sha256"] as const) await sealing(name)
await row("zeros", 1024 * mib, isZeros, (size) => new Uint8Array(size))

const content = noise(256 * mib, 1)
cutting("pieces of one size", () => fixedChunker(chunkSizeFor(content.length)))
cutting("pieces that the content delimits", () => contentChunker(chunkBoundsFor(content.length), nodeCrypto(keys)))

async function sealing(name: HashName): Promise<void> {
  const node = nodeCrypto(keys, name)
  const identity = node.identify(new Uint8Array(1))
  await row(`seal, ${name}`, 512 * mib, (chunk) => node.seal(chunk, identity))
  await row(
    `open, ${name}`,
    512 * mib,
    (sealed) => node.open(sealed, identity),
    (size) => node.seal(noise(size, 2), identity),
  )
  const web = portableCrypto(keys, name)
  await row(`seal, ${name}, Web Crypto`, 64 * mib, (chunk) => web.seal(chunk, identity))
}

async function row(
  name: string,
  bytes: number,
  run: (chunk: Uint8Array) => unknown,
  make: (size: number) => Uint8Array | Promise<Uint8Array> = (size) => noise(size, 3),
): Promise<void> {
  let line = name.padEnd(31)
  for (const size of sizes) {
    const chunk = await make(size)
    for (let warm = 0; warm < 16 * mib; warm += size) await run(chunk)
    const before = process.cpuUsage()
    for (let done = 0; done < bytes; done += size) {
      const result = run(chunk)
      if (result instanceof Promise) await result
    }
    const { user, system } = process.cpuUsage(before)
    line += (bytes / (user + system) / 1e3).toFixed(2).padStart(10)
  }
  console.log(line)
}

/** Speed, and the bytes that are new after 1,000 bytes were put into the middle. */
function cutting(name: string, make: () => Chunker): void {
  cut(make(), content.subarray(0, 32 * mib))
  const before = process.cpuUsage()
  const pieces = cut(make(), content)
  const { user, system } = process.cpuUsage(before)
  const half = content.length / 2
  const after = Buffer.concat([content.subarray(0, half), noise(1000, 4), content.subarray(half)])
  const crypto = nodeCrypto(keys)
  const nameOf = (piece: Uint8Array): string => Buffer.from(crypto.identify(piece)).toString("latin1")
  const known = new Set(pieces.map(nameOf))
  const fresh = cut(make(), after).filter((piece) => !known.has(nameOf(piece)))
  const bytes = fresh.reduce((sum, piece) => sum + piece.length, 0)
  console.log(
    `${name}: ${(content.length / (user + system) / 1e3).toFixed(2)} GB/s, ${pieces.length} pieces of ${Math.round(content.length / pieces.length / kib)} KiB; ` +
      `1,000 bytes in the middle of ${content.length / mib} MiB make ${fresh.length} pieces new, ${(bytes / mib).toFixed(2)} MiB (${((100 * bytes) / after.length).toFixed(2)} %)`,
  )
}

/** The content is in memory and stays, so that the pieces are views. */
function cut(chunker: Chunker, bytes: Uint8Array): Uint8Array[] {
  const pieces = chunker.push(bytes)
  const last = chunker.end()
  return last === undefined ? pieces : [...pieces, last]
}

function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const block = new Uint8Array(mib + 7)
  new SeededRandom(seed).fill(block)
  // Each block another one: its first bytes count.
  for (let at = 0, index = 0; at < length; at += block.length, index++) {
    new DataView(block.buffer).setUint32(0, index)
    bytes.set(block.subarray(0, Math.min(block.length, length - at)), at)
  }
  return bytes
}
