/**
 * A set of networks, for lists of many thousand: they are kept as sorted intervals that do not touch each other, so a
 * lookup is one binary search without an allocation. IPv4 in IPv6 is IPv4, both in the set and in what is asked.
 */

import { RdvError } from "../../../base/error.ts"
import { addressWords, mask, maskWord, readAddress } from "./address.ts"

export class Networks {
  /** Sorted and disjoint; both ends belong to it. */
  readonly #starts4: Uint32Array
  readonly #ends4: Uint32Array
  /** The same, four words for each. */
  readonly #starts6: Uint32Array
  readonly #ends6: Uint32Array
  readonly #words = addressWords()

  /** @internal Of `NetworkList`. */
  constructor(four: Intervals, six: Intervals) {
    this.#starts4 = four.starts
    this.#ends4 = four.ends
    this.#starts6 = six.starts
    this.#ends6 = six.ends
  }

  /** Intervals that are left after joining. */
  get size(): number {
    return this.#starts4.length + this.#starts6.length / 4
  }

  /** What is no address is in no network. */
  has(address: string): boolean {
    const words = this.#words
    const version = readAddress(address, words)
    if (version === 4) return this.#has4(words[3] as number)
    return version === 6 && this.#has6(words)
  }

  #has4(word: number): boolean {
    let least = 0
    let most = this.#starts4.length
    while (least < most) {
      const middle = (least + most) >>> 1
      if ((this.#starts4[middle] as number) <= word) least = middle + 1
      else most = middle
    }
    return least > 0 && word <= (this.#ends4[least - 1] as number)
  }

  #has6(words: Uint32Array): boolean {
    let least = 0
    let most = this.#starts6.length / 4
    while (least < most) {
      const middle = (least + most) >>> 1
      if (compare(this.#starts6, middle * 4, words, 0) <= 0) least = middle + 1
      else most = middle
    }
    return least > 0 && compare(words, 0, this.#ends6, (least - 1) * 4) <= 0
  }
}

/** Networks as they are written, one by one: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. */
export class NetworkList {
  /** Address and bits; one number, because these are sorted by the hundred thousand. */
  #four: number[] = []
  /** Four words and bits for each. */
  #six: number[] = []
  readonly #words = addressWords()

  get length(): number {
    return this.#four.length + this.#six.length / 5
  }

  /**
   * Returns what is wrong with it, as the rest of a sentence; undefined when it was added. Bits behind the prefix are not
   * looked at.
   */
  add(text: string): string | undefined {
    const slash = text.indexOf("/")
    const address = slash < 0 ? text : text.slice(0, slash)
    const words = this.#words
    const version = address.includes("%") ? 0 : readAddress(address, words)
    if (version === 0) return `${JSON.stringify(address)} is not an IP address`
    const isMapped = version === 4 && address.includes(":")
    const most = version === 4 && !isMapped ? 32 : 128
    let bits = most
    if (slash >= 0) {
      const prefix = text.slice(slash + 1)
      bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity
      if (bits > most) return `the prefix of an IPv${most === 32 ? 4 : 6} network is a number from 0 to ${most}`
    }
    if (version === 4 && (!isMapped || bits >= 96)) {
      const bits4 = isMapped ? bits - 96 : bits
      this.#four.push(maskWord(words[3] as number, bits4) * 64 + bits4)
    } else {
      mask(words, bits)
      this.#six.push(words[0] as number, words[1] as number, words[2] as number, words[3] as number, bits)
    }
    return undefined
  }

  build(): Networks {
    return new Networks(joined4(this.#four), joined6(this.#six))
  }
}

/** Throws `usage` for the first that is none. */
export function readNetworks(texts: readonly string[]): Networks {
  const list = new NetworkList()
  addNetworks(list, texts)
  return list.build()
}

/** Throws `usage` for the first that is none. */
export function addNetworks(list: NetworkList, texts: readonly string[]): void {
  for (const text of texts) {
    const problem = list.add(text)
    if (problem === undefined) continue
    throw new RdvError("usage", `${JSON.stringify(text)} is not a network: ${problem}`, { mend: networkMend })
  }
}

export const networkMend = "write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32"

interface Intervals {
  readonly starts: Uint32Array
  readonly ends: Uint32Array
}

/** Networks contain each other or are apart: sorted by start, each either is behind the last one or within it. */
function joined4(networks: readonly number[]): Intervals {
  const sorted = Float64Array.from(networks).sort()
  const starts = new Uint32Array(sorted.length)
  const ends = new Uint32Array(sorted.length)
  let count = 0
  for (const network of sorted) {
    const start = Math.floor(network / 64)
    const end = start + 2 ** (32 - (network % 64)) - 1
    const last = count === 0 ? -2 : (ends[count - 1] as number)
    if (start > last + 1) {
      starts[count] = start
      ends[count++] = end
    } else if (end > last) ends[count - 1] = end
  }
  return { starts: starts.slice(0, count), ends: ends.slice(0, count) }
}

function joined6(networks: readonly number[]): Intervals {
  const words = Uint32Array.from(networks)
  const order = Uint32Array.from({ length: words.length / 5 }, (_, index) => index * 5)
  order.sort((a, b) => compare(words, a, words, b))
  const starts = new Uint32Array(order.length * 4)
  const ends = new Uint32Array(order.length * 4)
  const end = addressWords()
  const next = addressWords()
  let count = 0
  for (const at of order) {
    const start = words.subarray(at, at + 4)
    const bits = words[at + 4] as number
    for (let index = 0; index < 4; index++) {
      end[index] = ((start[index] as number) | ~maskWord(0xffffffff, bits - index * 32)) >>> 0
    }
    if (count > 0 && compare(start, 0, next, 0) <= 0) {
      if (compare(end, 0, ends, (count - 1) * 4) <= 0) continue
      ends.set(end, (count - 1) * 4)
    } else {
      starts.set(start, count * 4)
      ends.set(end, count * 4)
      count++
    }
    next.set(end)
    // Behind the last address of all nothing comes.
    if (!increase(next)) break
  }
  return { starts: starts.slice(0, count * 4), ends: ends.slice(0, count * 4) }
}

/** False when it was the highest. */
function increase(words: Uint32Array): boolean {
  for (let at = 3; at >= 0; at--) {
    words[at] = ((words[at] as number) + 1) >>> 0
    if (words[at] !== 0) return true
  }
  return false
}

/** Of addresses in four words. */
function compare(a: Uint32Array, atA: number, b: Uint32Array, atB: number): number {
  for (let index = 0; index < 4; index++) {
    const difference = (a[atA + index] as number) - (b[atB + index] as number)
    if (difference !== 0) return difference
  }
  return 0
}
