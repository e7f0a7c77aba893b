/**
 * The code of a swarm, which people read out and type: six digits that name it and are no secret, and five words that are
 * (proquints: arXiv 0901.4016). The words hold 72 random bits and 8 that check digits and words, so that a typo is told before
 * anybody is asked. `482713-lusab-babad-gutih-tugad-bivuj`, or in a link behind `#`, which browsers keep to themselves.
 */

import { randomBytes } from "../../../base/bytes.ts"
import { clip, printable } from "../../../base/columns.ts"
import { RdvError } from "../../../base/error.ts"

export interface Code {
  /** Six digits. */
  readonly swarm: string
  /** 9 bytes. */
  readonly secret: Uint8Array
}

const swarmDigits = 6
const secretBytes = 9
const words = 5
const wordLetters = 5
const consonants = "bdfghjklmnprstvz"
const vowels = "aiou"

export function newCode(): Code {
  const bytes = new DataView(randomBytes(8).buffer)
  // 64 random bits: what is left of them beside a million is no bias that counts.
  const number = Number(bytes.getBigUint64(0) % 10n ** BigInt(swarmDigits))
  return { swarm: String(number).padStart(swarmDigits, "0"), secret: randomBytes(secretBytes) }
}

export function printCode(code: Code): string {
  return `${code.swarm}-${printSecret(code)}`
}

/** `base` is the relay's URL, `https://relay.example`. */
export function printLink(base: string, code: Code): string {
  return `${base.replace(/\/+$/, "")}/share/${code.swarm}#${printSecret(code)}`
}

/**
 * Reads a code or a link, whatever its case, dashes and spaces. Throws `usage`, and names the word that is wrong where that can
 * be known.
 */
export function parseCode(text: string): Code {
  const { swarm, groups } = splitText(text)
  const joined = groups.join("")
  if (joined.length !== words * wordLetters) throw wrongLength(groups, joined.length)
  const bytes = new Uint8Array(secretBytes + 1)
  for (let word = 0; word < words; word++) {
    const letters = joined.slice(word * wordLetters, (word + 1) * wordLetters)
    const value = readWord(letters)
    if (value === undefined) throw wrongWord(letters, word)
    bytes[2 * word] = value >> 8
    bytes[2 * word + 1] = value & 255
  }
  const secret = bytes.subarray(0, secretBytes)
  if (checkByte(swarm, secret) !== bytes[secretBytes]) {
    throw wrong("There is a typo in the code", "compare digits and letters one by one")
  }
  return { swarm, secret: secret.slice() }
}

function printSecret({ swarm, secret }: Code): string {
  return printWords(Uint8Array.of(...secret, checkByte(swarm, secret)))
}

function printWords(bytes: Uint8Array): string {
  const all: string[] = []
  for (let at = 0; at < bytes.length; at += 2) {
    const value = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
    let word = ""
    for (const [shift, letters] of layout) word += letters.charAt((value >> shift) & (letters.length - 1))
    all.push(word)
  }
  return all.join("-")
}

/** The letters of a word and the bits that they hold. */
const layout: readonly (readonly [number, string])[] = [
  [12, consonants],
  [10, vowels],
  [6, consonants],
  [4, vowels],
  [0, consonants],
]

function readWord(letters: string): number | undefined {
  let value = 0
  for (const [at, [shift, allowed]] of layout.entries()) {
    const index = allowed.indexOf(letters.charAt(at))
    if (index < 0) return undefined
    value |= index << shift
  }
  return value
}

/**
 * CRC-8 (x⁸ + x² + x + 1) over the digits, 4 bits each, and the secret. It tells every wrong letter, any two wrong bits and all
 * neighbours that changed places.
 */
function checkByte(swarm: string, secret: Uint8Array): number {
  let crc = 0
  const take = (value: number, bits: number): void => {
    for (let bit = bits - 1; bit >= 0; bit--) {
      const out = (crc >> 7) ^ ((value >> bit) & 1)
      crc = ((crc << 1) & 255) ^ (out === 1 ? 0x07 : 0)
    }
  }
  for (const digit of swarm) take(Number(digit), 4)
  for (const byte of secret) take(byte, 8)
  return crc
}

/** What stands between the words, or where somebody put it. */
const separators = /[\s\-_.,:/\u2010-\u2015\u2212]+/

function splitText(text: string): { swarm: string; groups: string[] } {
  const given = text.trim().toLowerCase()
  const link = /^[a-z][a-z0-9+.-]*:\/\//.test(given)
  const hash = given.indexOf("#")
  if (link && hash < 0) {
    throw wrong(
      "This link has lost its second half, the words behind #",
      "ask for the whole link, and quote it in a shell",
    )
  }
  if (hash >= 0) {
    const swarm = /(?:^|\/)(\d{6})\/*(?:\?.*)?$/.exec(given.slice(0, hash))?.[1]
    if (swarm === undefined)
      throw wrong("This is not the link of a share: it ends with /share/, six digits, # and five words")
    return { swarm, groups: splitWords(given.slice(hash + 1)) }
  }
  // Letters that look like digits count as such where six stand side by side.
  const match = /^([\doil]{6})(.*)$/s.exec(given) ?? /^((?:\d[\s-]*){6})(.*)$/s.exec(given)
  if (match === null) throw wrong(`A code begins with six digits, and "${shown(given)}" does not`, example)
  const swarm = (match[1] as string).replaceAll(/[\s-]/g, "").replaceAll("o", "0").replaceAll(/[il]/g, "1")
  return { swarm, groups: splitWords(match[2] as string) }
}

function splitWords(text: string): string[] {
  const groups = text.split(separators).filter((group) => group !== "")
  return groups.map((group) => group.replaceAll("0", "o").replaceAll("1", "l"))
}

const example = "it looks like 482713-lusab-babad-gutih-tugad-bivuj"
const ordinals = ["first", "second", "third", "fourth", "fifth"]

function wrongLength(groups: readonly string[], letters: number): RdvError {
  const odd = groups.findIndex((group) => group.length !== wordLetters)
  if (groups.length === words && odd >= 0) return wrongWord(groups[odd] as string, odd)
  if (odd < 0) return wrong(`A code has six digits and five words, and this one has ${groups.length} words`, example)
  return wrong(`A code has six digits and ${words * wordLetters} letters, and this one has ${letters} letters`, example)
}

function wrongWord(letters: string, word: number): RdvError {
  const why =
    letters.length === wordLetters
      ? `the letters of a word are ${consonants} and ${vowels} in turn`
      : "a word has five letters"
  return wrong(`There is a typo in the ${ordinals[word]} word of the code, "${shown(letters)}": ${why}`)
}

/** For error texts: a line without what could command a terminal. */
function shown(text: string): string {
  return clip(printable(text), 60)
}

function wrong(text: string, mend?: string): RdvError {
  return new RdvError("usage", text, mend === undefined ? {} : { mend })
}
