/**
 * IP addresses as numbers: read from text without an allocation, because each connection's address is looked up. IPv4 in
 * IPv6 (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) is IPv4: a socket that listens on both shows it so. An interface
 * (`fe80::1%eth0`) is left out.
 */

/** Four words, the first one is the highest; IPv4 is in the last one. */
export type AddressWords = Uint32Array

export function addressWords(): AddressWords {
  return new Uint32Array(4)
}

/** Writes into `words` and returns the version; 0 for what is no address, and then `words` mean nothing. */
export function readAddress(text: string, words: AddressWords): 4 | 6 | 0 {
  const percent = text.indexOf("%")
  const end = percent < 0 ? text.length : percent
  if (!text.includes(":")) {
    if (percent >= 0 || !readIPv4(text, 0, end, words)) return 0
    words[0] = words[1] = 0
    words[2] = 0xffff
    return 4
  }
  if (percent === text.length - 1 || !readIPv6(text, end, words)) return 0
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff ? 4 : 6
}

/**
 * What stands for a client: its network of so many bits, as text. Addresses of one network give the same text; what is no
 * address stands for itself.
 */
export function clientKey(address: string, prefix: { readonly ipv4: number; readonly ipv6: number }): string {
  const version = readAddress(address, keyWords)
  if (version === 0) return address
  const bits = version === 4 ? prefix.ipv4 : prefix.ipv6
  if (version === 4) {
    const word = maskWord(keyWords[3] as number, bits)
    const text = `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
    return bits >= 32 ? text : `${text}/${bits}`
  }
  mask(keyWords, bits)
  let text = ""
  for (let at = 0; at < 4; at++) {
    const word = keyWords[at] as number
    text += `${at === 0 ? "" : ":"}${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`
  }
  return bits >= 128 ? text : `${text}/${bits}`
}

/** Only between two statements of one call. */
const keyWords = addressWords()

/** Clears what is behind the first `bits` of an IPv6 address. */
export function mask(words: AddressWords, bits: number): void {
  for (let at = 0; at < 4; at++) words[at] = maskWord(words[at] as number, bits - at * 32)
}

/** The first `bits` of a word; all of it with 32 or more, none with 0 or less. */
export function maskWord(word: number, bits: number): number {
  if (bits >= 32) return word
  return bits <= 0 ? 0 : (word & (0xffffffff << (32 - bits))) >>> 0
}

/** Four decimal numbers up to 255 without leading zeros, into the last word. */
function readIPv4(text: string, from: number, end: number, words: AddressWords): boolean {
  let word = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let at = from; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === dot) {
      if (digits === 0 || ++dots > 3) return false
      word = word * 256 + part
      part = digits = 0
      continue
    }
    const digit = code - zero
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return false
    part = part * 10 + digit
    if (part > 255) return false
    digits++
  }
  if (dots !== 3 || digits === 0) return false
  words[3] = word * 256 + part
  return true
}

/** RFC 4291 section 2.2: eight groups, one run of zeros as `::`, the last two groups perhaps as IPv4. */
function readIPv6(text: string, end: number, words: AddressWords): boolean {
  words.fill(0)
  let groups = 0
  let gap = -1
  let at = 0
  if (text.charCodeAt(0) === colon) {
    if (end < 2 || text.charCodeAt(1) !== colon) return false
    gap = 0
    at = 2
  }
  while (at < end) {
    if (groups === 8) return false
    let value = 0
    let digits = 0
    const from = at
    for (; at < end; at++) {
      const digit = hexDigit(text.charCodeAt(at))
      if (digit < 0) break
      if (++digits > 4) return false
      value = value * 16 + digit
    }
    if (at < end && text.charCodeAt(at) === dot) {
      if (groups > 6 || !readIPv4(text, from, end, ipv4Words)) return false
      put(words, groups++, (ipv4Words[3] as number) >>> 16)
      put(words, groups++, (ipv4Words[3] as number) & 0xffff)
      at = end
      break
    }
    if (digits === 0) return false
    put(words, groups++, value)
    if (at === end) break
    if (text.charCodeAt(at) !== colon) return false
    if (text.charCodeAt(++at) === colon) {
      if (gap >= 0) return false
      gap = groups
      at++
    } else if (at >= end) return false
  }
  if (gap < 0) return groups === 8
  if (groups > 7) return false
  // What stands behind the gap moves to the end.
  const behind = groups - gap
  for (let index = behind - 1; index >= 0; index--) {
    const value = get(words, gap + index)
    put(words, gap + index, 0)
    put(words, 8 - behind + index, value)
  }
  return true
}

const ipv4Words = addressWords()

function get(words: AddressWords, group: number): number {
  const word = words[group >> 1] as number
  return group % 2 === 0 ? word >>> 16 : word & 0xffff
}

function put(words: AddressWords, group: number, value: number): void {
  const word = words[group >> 1] as number
  words[group >> 1] = group % 2 === 0 ? ((value << 16) | (word & 0xffff)) >>> 0 : ((word & 0xffff0000) | value) >>> 0
}

function hexDigit(code: number): number {
  if (code >= zero && code <= zero + 9) return code - zero
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

const zero = 48
const dot = 46
const colon = 58
