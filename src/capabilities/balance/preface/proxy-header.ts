/**
 * The PROXY protocol (HAProxy's specification, versions 1 and 2): a few bytes ahead of a connection in which a balancer
 * tells where it really comes from. Whoever may send it is believed, so it is read by the letter: what the specification
 * does not allow is refused, never guessed at.
 */

import { isIPv4, isIPv6 } from "node:net"
import type { HostPort } from "../../../config/host-port.ts"
import { crc32c } from "./crc32c.ts"
import { ipBytes, ipText } from "./ip-bytes.ts"

export interface ProxyHeader {
  readonly version: 1 | 2
  /** The sender speaks for itself, a health check for example. */
  readonly isLocal: boolean
  /** The client; undefined when the header does not tell: then the connection's own addresses count. */
  readonly source: HostPort | undefined
  /** Where the client wanted to go. */
  readonly destination: HostPort | undefined
  /** The server name that the client asked for, in lower case. */
  readonly authority: string | undefined
  /** The protocol that was agreed on with the client, Latin-1. */
  readonly alpn: string | undefined
  /** Names the connection all along its way. */
  readonly uniqueId: Uint8Array | undefined
  /** Undefined: the client did not use TLS, or nobody tells. */
  readonly tls: ProxyTls | undefined
  /** Type 0xE0: what a sender and we agree on, such as a token. */
  readonly custom: Uint8Array | undefined
}

export interface ProxyTls {
  /** `TLSv1.3`; undefined when it is not told. */
  readonly version: string | undefined
  /** Of the client's certificate, and only when the sender has verified it. */
  readonly commonName: string | undefined
}

export type ProxyRead =
  /** So far it may become one. Without `least` bytes from the beginning there is nothing new to see. */
  | { readonly kind: "more"; readonly least: number }
  /** The connection begins with something else. */
  | { readonly kind: "none" }
  | { readonly kind: "bad"; readonly reason: string }
  | {
      readonly kind: "header"
      readonly header: ProxyHeader
      /** Length of the header; what is behind it is the client's. */
      readonly bytes: number
    }

/** Longer ones are refused: room for a client's certificate, which some senders add. */
export const mostProxyHeaderBytes = 16_384

/** Reads what has arrived since the connection began; to be called again with more of it. Never throws. */
export function readProxyHeader(bytes: Uint8Array): ProxyRead {
  if (bytes.length === 0) return { kind: "more", least: 1 }
  if (bytes[0] === signature[0]) return startsLike(bytes, signature) ? readBinary(bytes) : none
  return startsLike(bytes, word) ? readLine(bytes) : none
}

/** A line of text is at most so long, with its end. */
const mostLineBytes = 107
const word = Buffer.from("PROXY ", "latin1")
const signature = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10)
const fixedBytes = 16
const none: ProxyRead = { kind: "none" }

const nothingTold = {
  source: undefined,
  destination: undefined,
  authority: undefined,
  alpn: undefined,
  uniqueId: undefined,
  tls: undefined,
  custom: undefined,
}

function startsLike(bytes: Uint8Array, pattern: Uint8Array): boolean {
  const length = Math.min(bytes.length, pattern.length)
  for (let at = 0; at < length; at++) if (bytes[at] !== pattern[at]) return false
  return true
}

function bad(reason: string): ProxyRead {
  return { kind: "bad", reason }
}

function readLine(bytes: Uint8Array): ProxyRead {
  const length = Math.min(bytes.length, mostLineBytes)
  let end = 0
  while (end < length && bytes[end] !== 10 && bytes[end] !== 13) end++
  if (bytes[end] === 10 && end < length) return bad("the line does not end with CR LF")
  if (end + 1 >= length) {
    if (length === mostLineBytes) return bad("the line is longer than 107 bytes")
    return { kind: "more", least: bytes.length + 1 }
  }
  if (bytes[end + 1] !== 10) return bad("the line does not end with CR LF")
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1")
  const told = readWords(text.split(" "))
  if (typeof told === "string") return bad(told)
  return { kind: "header", header: { version: 1, isLocal: false, ...nothingTold, ...told }, bytes: end + 2 }
}

/** A string says what is wrong. */
function readWords(words: readonly string[]): Pick<ProxyHeader, "source" | "destination"> | string {
  const [, family, from = "", to = "", fromPort = "", toPort = ""] = words
  // What follows is to be ignored, whatever it is.
  if (family === "UNKNOWN") return { source: undefined, destination: undefined }
  if (family !== "TCP4" && family !== "TCP6") return "the family is none of TCP4, TCP6 and UNKNOWN"
  if (words.length !== 6) return "the line has not six words"
  const isAddress = family === "TCP4" ? isIPv4 : isPlainIPv6
  if (!isAddress(from) || !isAddress(to)) return `an address is none of ${family}`
  if (!isPort(fromPort) || !isPort(toPort)) return "a port is not a number from 0 to 65535"
  return { source: hostPort(from, fromPort), destination: hostPort(to, toPort) }
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes("%")
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function hostPort(text: string, port: string): HostPort {
  const bytes = ipBytes(text) as Uint8Array
  return { host: ipText(bytes, 0, bytes.length as 4 | 16), port: Number(port) }
}

function readBinary(bytes: Uint8Array): ProxyRead {
  const versionAndCommand = bytes[12]
  if (versionAndCommand === undefined) return { kind: "more", least: bytes.length + 1 }
  if (versionAndCommand >> 4 !== 2) return bad(`the version is ${versionAndCommand >> 4}`)
  const command = versionAndCommand & 15
  if (command > 1) return bad(`the command is ${command}`)
  if (bytes.length < fixedBytes) return { kind: "more", least: fixedBytes }
  const total = fixedBytes + uint16(bytes, 14)
  if (total > mostProxyHeaderBytes) return bad(`it is longer than ${mostProxyHeaderBytes} bytes`)
  if (bytes.length < total) return { kind: "more", least: total }
  const family = bytes[13] as number
  const isLocal = command === 0
  const told = isLocal ? nothingTold : readBlock(bytes.subarray(0, total), family)
  if (typeof told === "string") return bad(told)
  return { kind: "header", header: { version: 2, isLocal, ...told }, bytes: total }
}

type Told = Omit<ProxyHeader, "version" | "isLocal">

/** Bytes of both addresses and ports by address family and protocol; others are not allowed. */
const blockBytes: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x12, 12],
  [0x21, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
])

/** A string says what is wrong. */
function readBlock(bytes: Uint8Array, family: number): Told | string {
  const length = blockBytes.get(family)
  if (length === undefined) return `the family is 0x${family.toString(16).padStart(2, "0")}`
  // Unspecified: nobody knows how long the addresses are, so all of it is skipped.
  if (family === 0) return nothingTold
  if (bytes.length < fixedBytes + length) return "it is too short for its addresses"
  const facts = readFacts(bytes, fixedBytes + length)
  if (typeof facts === "string") return facts
  // Addresses of datagrams and paths of Unix sockets are no addresses of clients of ours.
  if (family !== 0x11 && family !== 0x21) return facts
  const size = family === 0x11 ? 4 : 16
  const at = fixedBytes
  const source = { host: ipText(bytes, at, size), port: uint16(bytes, at + 2 * size) }
  const destination = { host: ipText(bytes, at + size, size), port: uint16(bytes, at + 2 * size + 2) }
  return { ...facts, source, destination }
}

/** Types of the fields behind the addresses (section 2.2). */
export const proxyField = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  uniqueId: 0x05,
  tls: 0x20,
  tlsVersion: 0x21,
  tlsCommonName: 0x22,
  custom: 0xe0,
} as const

/** A string says what is wrong. */
function readFacts(bytes: Uint8Array, from: number): Told | string {
  const fields = readFields(bytes, from)
  if (typeof fields === "string") return fields
  const crc = fields.get(proxyField.crc32c)
  if (crc !== undefined && !isIntact(bytes, crc)) return "its checksum does not match"
  const authority = fields.get(proxyField.authority)
  if (authority !== undefined && authority.length > 255) return "its server name is longer than 255 bytes"
  const uniqueId = fields.get(proxyField.uniqueId)
  if (uniqueId !== undefined && uniqueId.length > 128) return "its unique ID is longer than 128 bytes"
  const tls = readTls(fields.get(proxyField.tls))
  if (typeof tls === "string") return tls
  const alpn = fields.get(proxyField.alpn)
  const custom = fields.get(proxyField.custom)
  return {
    ...nothingTold,
    authority: authority && textOf(authority).toLowerCase(),
    alpn: alpn && Buffer.from(alpn).toString("latin1"),
    // Copies: the buffer that they lie in is the connection's.
    uniqueId: uniqueId && new Uint8Array(uniqueId),
    tls,
    custom: custom && new Uint8Array(custom),
  }
}

/** Those that mean something here. One that stands twice would mean two things: refused. */
function readFields(bytes: Uint8Array, from: number): Map<number, Uint8Array> | string {
  const fields = new Map<number, Uint8Array>()
  for (let at = from; at < bytes.length;) {
    if (at + 3 > bytes.length) return "a field is cut off"
    const type = bytes[at] as number
    const end = at + 3 + uint16(bytes, at + 1)
    if (end > bytes.length) return "a field is longer than the header"
    if (known.has(type)) {
      if (fields.has(type)) return `the field 0x${type.toString(16).padStart(2, "0")} is there twice`
      fields.set(type, bytes.subarray(at + 3, end))
    }
    at = end
  }
  return fields
}

const known: ReadonlySet<number> = new Set(Object.values(proxyField))

/** The checksum was computed with zeros in its own place. */
function isIntact(bytes: Uint8Array, crc: Uint8Array): boolean {
  if (crc.length !== 4) return false
  const at = crc.byteOffset - bytes.byteOffset
  const blank = new Uint8Array(bytes)
  blank.fill(0, at, at + 4)
  return crc32c(blank) === (uint16(crc, 0) * 65_536 + uint16(crc, 2)) >>> 0
}

/** `client` bits of the TLS field: used at all, and a certificate in this connection or session. */
const tlsUsed = 1
const tlsCertificate = 2 | 4

function readTls(bytes: Uint8Array | undefined): ProxyTls | string | undefined {
  if (bytes === undefined) return undefined
  if (bytes.length < 5) return "its TLS field is too short"
  const fields = readFields(bytes, 5)
  if (typeof fields === "string") return fields
  const client = bytes[0] as number
  if ((client & tlsUsed) === 0) return undefined
  const isVerified = (client & tlsCertificate) !== 0 && uint16(bytes, 1) === 0 && uint16(bytes, 3) === 0
  const version = fields.get(proxyField.tlsVersion)
  const name = fields.get(proxyField.tlsCommonName)
  return { version: version && textOf(version), commonName: isVerified && name ? textOf(name) : undefined }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}
