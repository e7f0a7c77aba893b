/**
 * Histograms as text, in HdrHistogram's V2 encoding (deflated, base64) that its tools in all languages read. Reading is
 * written here and not left to the library, because the text may come from another machine: nothing is believed before
 * it was measured, and what decompresses to more than a histogram can be is refused.
 */

import { inflateSync } from "node:zlib"
import { encodeIntoCompressedBase64 } from "hdr-histogram-js"
import type { Histogram, JsHistogram } from "hdr-histogram-js"
import { RdvError } from "../../../base/error.ts"
import { bucketCount, countsOf, highestMicros } from "./histogram.ts"

const deflatedCookie = 0x1c849314
const plainCookie = 0x1c849313
const headBytes = 40
/** A count has at most nine bytes, and each of them at least one place. */
const longestBytes = headBytes + 9 * bucketCount
/** So that all of them together are a number without rounding. */
const highestCount = Math.floor(Number.MAX_SAFE_INTEGER / bucketCount)
const longestText = Math.ceil((longestBytes + 1024) / 3) * 4

export function encodeHistogram(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram)
}

/**
 * Fills `into`, whose counts should be of 64 bits, with what the text holds and nothing else. The text knows the lowest and
 * the highest value only to three digits. Throws `RdvError` `protocol` when it is no histogram of ours; `into` is then of no use.
 */
export function decodeHistogram(text: string, into: Histogram): void {
  if (text.length > longestText) throw broken("it is too long")
  const outer = Buffer.from(text, "base64")
  if (outer.length < 8 || outer.readUInt32BE(0) !== deflatedCookie) throw broken("it does not begin as one")
  if (outer.readUInt32BE(4) !== outer.length - 8) throw broken("its length is another than it says")
  into.reset()
  readCounts(inflate(outer.subarray(8)), countsOf(into))
}

function inflate(bytes: Uint8Array): Buffer {
  try {
    return inflateSync(bytes, { maxOutputLength: longestBytes })
  } catch (error) {
    throw new RdvError("protocol", "A histogram cannot be read: it does not decompress", { cause: error })
  }
}

function readCounts(bytes: Buffer, into: JsHistogram): void {
  if (bytes.length < headBytes || bytes.readUInt32BE(0) !== plainCookie) throw broken("it does not begin as one")
  if (bytes.readUInt32BE(4) !== bytes.length - headBytes) throw broken("its length is another than it says")
  const digits = bytes.readUInt32BE(12)
  const lowest = bytes.readBigUInt64BE(16)
  const highest = bytes.readBigUInt64BE(24)
  if (bytes.readUInt32BE(8) > 1 || digits !== 3 || lowest !== 1n || highest !== BigInt(highestMicros)) {
    throw broken("it is not one of whole µs up to 1 h with three digits")
  }
  let at = headBytes
  let index = 0
  while (at < bytes.length) {
    let zigzag = 0
    let scale = 1
    for (let length = 1; ; length++) {
      const byte = bytes[at++]
      if (byte === undefined) throw broken("it ends inside a count")
      zigzag += (length === 9 ? byte : byte & 0x7f) * scale
      if (byte < 0x80 || length === 9) break
      scale *= 128
    }
    // Even: a count; odd: so many empty places. Halved by arithmetic, as counts may be longer than 32 bits.
    if (zigzag % 2 === 1) {
      index += (zigzag + 1) / 2
      continue
    }
    const count = zigzag / 2
    if (index >= bucketCount) throw broken("it holds values above 1 h")
    if (count > 0) record(into, index, count)
    index++
  }
}

function record(into: JsHistogram, index: number, count: number): void {
  if (!(count <= highestCount)) throw broken("a count is too large")
  const lowest = into.valueFromIndex(index)
  // The place of 0 µs is never used here; what others wrote there counts as 1 µs.
  into.recordValueWithCount(Math.max(1, Math.min(lowest, highestMicros)), count)
  into.maxValue = Math.min(Math.max(1, into.highestEquivalentValue(lowest)), highestMicros)
}

function broken(why: string): RdvError {
  return new RdvError("protocol", `A histogram cannot be read: ${why}`)
}
