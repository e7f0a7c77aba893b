/**
 * BLAKE3 in JavaScript, for places without a native one: pages, and machines for which no package was built. Written after section
 * 2 of its specification (O'Connor, Aumasson, Neves, Wilcox-O'Hearn). All that is hot is one function over local 32-bit numbers,
 * which compilers turn into plain machine code: several times as fast as general implementations, at the price of its length.
 */

const initial = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
)
const flags = { chunkStart: 1, chunkEnd: 2, parent: 4, root: 8, keyed: 16 } as const

const blockBytes = 64
const chunkBytes = 1024
const wordsOfValue = 8
/** Chaining values that wait for their neighbours: enough for 2^42 bytes. */
const deepest = 32

/** Hashes of one kind, one after the other: plain ones, or under a key of 32 bytes. */
export class Blake3 {
  readonly #key: Int32Array
  readonly #flags: number
  /** One chunk, or the two children of a node. */
  readonly #block: Uint8Array = new Uint8Array(chunkBytes)
  readonly #words: Int32Array = new Int32Array(this.#block.buffer)
  readonly #stack: Int32Array = new Int32Array(wordsOfValue * (deepest + 1))

  constructor(key?: Uint8Array) {
    this.#flags = key === undefined ? 0 : flags.keyed
    this.#key = key === undefined ? initial : wordsOf(key)
  }

  /** 32 bytes. */
  hash(bytes: Uint8Array): Uint8Array {
    const chunks = Math.max(1, Math.ceil(bytes.length / chunkBytes))
    let depth = 0
    for (let chunk = 0; chunk < chunks; chunk++) {
      this.#chunk(bytes, chunk, chunks === 1 ? flags.root : 0, depth++)
      // A subtree is whole at each factor 2 of the number of chunks so far; the last ones are merged below.
      if (chunk + 1 === chunks) break
      for (let done = chunk + 1; (done & 1) === 0; done >>>= 1) this.#merge(--depth, 0)
    }
    while (depth > 1) this.#merge(--depth, depth === 1 ? flags.root : 0)
    return bytesOf(this.#stack.subarray(0, wordsOfValue))
  }

  /** The chaining value of a chunk, at this depth of the stack. */
  #chunk(bytes: Uint8Array, chunk: number, more: number, depth: number): void {
    const part = bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes)
    this.#block.set(part)
    const blocks = Math.max(1, Math.ceil(part.length / blockBytes))
    this.#block.fill(0, part.length, blocks * blockBytes)
    if (!littleEndian) swap(this.#block)
    const value = this.#stack.subarray(depth * wordsOfValue, (depth + 1) * wordsOfValue)
    value.set(this.#key)
    const lastBytes = part.length - (blocks - 1) * blockBytes
    compress(value, this.#words, blocks, chunk, lastBytes, this.#flags | flags.chunkStart, flags.chunkEnd | more)
  }

  /** Puts a node in the place of its children, the value at this depth and the one before. */
  #merge(depth: number, more: number): void {
    const from = (depth - 1) * wordsOfValue
    this.#words.set(this.#stack.subarray(from, from + 2 * wordsOfValue))
    const value = this.#stack.subarray(from, from + wordsOfValue)
    value.set(this.#key)
    compress(value, this.#words, 1, 0, blockBytes, this.#flags | flags.parent, more)
  }
}

/** Blocks of one chunk, or a node. `value` is the key and becomes the result; `last` are further flags of the last block. */
function compress(
  value: Int32Array,
  words: Int32Array,
  blocks: number,
  counter: number,
  lastBytes: number,
  first: number,
  last: number,
): void {
  let flag = first
  let length = blockBytes
  let at = 0
  for (let block = 0; block < blocks; block++) {
    if (block === blocks - 1) {
      flag |= last
      length = lastBytes
    }
    let m0 = words[at + 0] as number
    let m1 = words[at + 1] as number
    let m2 = words[at + 2] as number
    let m3 = words[at + 3] as number
    let m4 = words[at + 4] as number
    let m5 = words[at + 5] as number
    let m6 = words[at + 6] as number
    let m7 = words[at + 7] as number
    let m8 = words[at + 8] as number
    let m9 = words[at + 9] as number
    let m10 = words[at + 10] as number
    let m11 = words[at + 11] as number
    let m12 = words[at + 12] as number
    let m13 = words[at + 13] as number
    let m14 = words[at + 14] as number
    let m15 = words[at + 15] as number
    let v0 = value[0] as number
    let v1 = value[1] as number
    let v2 = value[2] as number
    let v3 = value[3] as number
    let v4 = value[4] as number
    let v5 = value[5] as number
    let v6 = value[6] as number
    let v7 = value[7] as number
    let v8 = 0x6a09e667
    let v9 = 0xbb67ae85 | 0
    let v10 = 0x3c6ef372
    let v11 = 0xa54ff53a | 0
    let v12 = counter | 0
    // The upper half of the counter: nothing here is so long.
    let v13 = 0
    let v14 = length
    let v15 = flag
    for (let round = 0; round < 7; round++) {
      v0 = (v0 + v4 + m0) | 0
      v12 ^= v0
      v12 = (v12 >>> 16) | (v12 << 16)
      v8 = (v8 + v12) | 0
      v4 ^= v8
      v4 = (v4 >>> 12) | (v4 << 20)
      v0 = (v0 + v4 + m1) | 0
      v12 ^= v0
      v12 = (v12 >>> 8) | (v12 << 24)
      v8 = (v8 + v12) | 0
      v4 ^= v8
      v4 = (v4 >>> 7) | (v4 << 25)
      v1 = (v1 + v5 + m2) | 0
      v13 ^= v1
      v13 = (v13 >>> 16) | (v13 << 16)
      v9 = (v9 + v13) | 0
      v5 ^= v9
      v5 = (v5 >>> 12) | (v5 << 20)
      v1 = (v1 + v5 + m3) | 0
      v13 ^= v1
      v13 = (v13 >>> 8) | (v13 << 24)
      v9 = (v9 + v13) | 0
      v5 ^= v9
      v5 = (v5 >>> 7) | (v5 << 25)
      v2 = (v2 + v6 + m4) | 0
      v14 ^= v2
      v14 = (v14 >>> 16) | (v14 << 16)
      v10 = (v10 + v14) | 0
      v6 ^= v10
      v6 = (v6 >>> 12) | (v6 << 20)
      v2 = (v2 + v6 + m5) | 0
      v14 ^= v2
      v14 = (v14 >>> 8) | (v14 << 24)
      v10 = (v10 + v14) | 0
      v6 ^= v10
      v6 = (v6 >>> 7) | (v6 << 25)
      v3 = (v3 + v7 + m6) | 0
      v15 ^= v3
      v15 = (v15 >>> 16) | (v15 << 16)
      v11 = (v11 + v15) | 0
      v7 ^= v11
      v7 = (v7 >>> 12) | (v7 << 20)
      v3 = (v3 + v7 + m7) | 0
      v15 ^= v3
      v15 = (v15 >>> 8) | (v15 << 24)
      v11 = (v11 + v15) | 0
      v7 ^= v11
      v7 = (v7 >>> 7) | (v7 << 25)
      v0 = (v0 + v5 + m8) | 0
      v15 ^= v0
      v15 = (v15 >>> 16) | (v15 << 16)
      v10 = (v10 + v15) | 0
      v5 ^= v10
      v5 = (v5 >>> 12) | (v5 << 20)
      v0 = (v0 + v5 + m9) | 0
      v15 ^= v0
      v15 = (v15 >>> 8) | (v15 << 24)
      v10 = (v10 + v15) | 0
      v5 ^= v10
      v5 = (v5 >>> 7) | (v5 << 25)
      v1 = (v1 + v6 + m10) | 0
      v12 ^= v1
      v12 = (v12 >>> 16) | (v12 << 16)
      v11 = (v11 + v12) | 0
      v6 ^= v11
      v6 = (v6 >>> 12) | (v6 << 20)
      v1 = (v1 + v6 + m11) | 0
      v12 ^= v1
      v12 = (v12 >>> 8) | (v12 << 24)
      v11 = (v11 + v12) | 0
      v6 ^= v11
      v6 = (v6 >>> 7) | (v6 << 25)
      v2 = (v2 + v7 + m12) | 0
      v13 ^= v2
      v13 = (v13 >>> 16) | (v13 << 16)
      v8 = (v8 + v13) | 0
      v7 ^= v8
      v7 = (v7 >>> 12) | (v7 << 20)
      v2 = (v2 + v7 + m13) | 0
      v13 ^= v2
      v13 = (v13 >>> 8) | (v13 << 24)
      v8 = (v8 + v13) | 0
      v7 ^= v8
      v7 = (v7 >>> 7) | (v7 << 25)
      v3 = (v3 + v4 + m14) | 0
      v14 ^= v3
      v14 = (v14 >>> 16) | (v14 << 16)
      v9 = (v9 + v14) | 0
      v4 ^= v9
      v4 = (v4 >>> 12) | (v4 << 20)
      v3 = (v3 + v4 + m15) | 0
      v14 ^= v3
      v14 = (v14 >>> 8) | (v14 << 24)
      v9 = (v9 + v14) | 0
      v4 ^= v9
      v4 = (v4 >>> 7) | (v4 << 25)
      // The order of the words in the next round, as the two cycles that it consists of.
      const zero = m0
      m0 = m2
      m2 = m3
      m3 = m10
      m10 = m12
      m12 = m9
      m9 = m11
      m11 = m5
      m5 = zero
      const one = m1
      m1 = m6
      m6 = m4
      m4 = m7
      m7 = m13
      m13 = m14
      m14 = m15
      m15 = m8
      m8 = one
    }
    value[0] = v0 ^ v8
    value[1] = v1 ^ v9
    value[2] = v2 ^ v10
    value[3] = v3 ^ v11
    value[4] = v4 ^ v12
    value[5] = v5 ^ v13
    value[6] = v6 ^ v14
    value[7] = v7 ^ v15
    flag &= ~flags.chunkStart
    at += 16
  }
}

const littleEndian = new Uint8Array(Int32Array.of(1).buffer)[0] === 1

/** Turns each four bytes around. */
function swap(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse()
}

function wordsOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Int32Array.from({ length: wordsOfValue }, (_, index) => view.getInt32(index * 4, true))
}

function bytesOf(words: Int32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [index, word] of words.entries()) view.setInt32(index * 4, word, true)
  return bytes
}
