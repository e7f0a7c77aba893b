/**
 * What a TLS client asks for before anything is encrypted: the server's name and the protocols (RFC 8446 section 4.1.2,
 * RFC 6066 section 3, RFC 7301). It is read in passing, to route a connection that somebody else decrypts; whether the
 * rest of it is right, that one finds out.
 */

export interface ClientHello {
  /** In lower case; undefined when the client names none. */
  readonly serverName: string | undefined
  /** Latin-1, in the client's order; empty when it offers none. */
  readonly alpn: readonly string[]
}

export type HelloRead =
  /** So far it may become one. Without `least` bytes from the beginning there is nothing new to see. */
  | { readonly kind: "more"; readonly least: number }
  | { readonly kind: "bad"; readonly reason: string }
  | { readonly kind: "hello"; readonly hello: ClientHello }

/** With the headers of its records; those of browsers are below 3 KiB. */
export const mostHelloBytes = 16_384

/** Reads what has arrived since the connection began; to be called again with more of it. Never throws. */
export function readClientHello(bytes: Uint8Array): HelloRead {
  const joined = joinRecords(bytes)
  if (!(joined instanceof Uint8Array)) return joined
  const body = readHelloBody(joined)
  return typeof body === "string" ? bad(body) : { kind: "hello", hello: body }
}

function bad(reason: string): HelloRead {
  return { kind: "bad", reason }
}

const recordHeaderBytes = 5
const handshakeHeaderBytes = 4
/** TLSPlaintext.length (RFC 8446 section 5.1). */
const mostRecordBytes = 16_384

/** The handshake message without its header, over as many records as it needs. */
function joinRecords(bytes: Uint8Array): HelloRead | Uint8Array {
  const parts: Uint8Array[] = []
  let have = 0
  /** Of the message with its header; known as soon as that is there. */
  let want = handshakeHeaderBytes
  let header: Uint8Array | undefined
  for (let at = 0; have < want;) {
    const wrong = lookAtRecord(bytes, at)
    if (wrong !== undefined) return bad(wrong)
    if (at + recordHeaderBytes > bytes.length) return more(bytes.length + 1)
    const length = uint16(bytes, at + 3)
    const from = at + recordHeaderBytes
    const part = bytes.subarray(from, from + length)
    if (part.length > 0) parts.push(part)
    have += part.length
    if (parts.length === 1 && part[0] !== undefined && part[0] !== clientHello) return bad("it is not a ClientHello")
    if (header === undefined && have >= handshakeHeaderBytes) {
      header = firstBytes(parts, handshakeHeaderBytes)
      want += ((header[1] as number) << 16) | uint16(header, 2)
      if (want > mostHelloBytes) return bad(tooLong)
    }
    if (have >= want) break
    if (have === 0) return more(from + 1)
    if (part.length < length) return more(Math.min(from + length, from + part.length + want - have))
    at = from + length
  }
  return firstBytes(parts, want).subarray(handshakeHeaderBytes)
}

const tooLong = `the ClientHello is longer than ${mostHelloBytes} bytes`
const handshakeRecord = 22
const clientHello = 1

/** Says what is wrong with what is there of a record's header. */
function lookAtRecord(bytes: Uint8Array, at: number): string | undefined {
  const type = bytes[at]
  if (type !== undefined && type !== handshakeRecord) return at === 0 ? "it is not TLS" : "the ClientHello breaks off"
  const major = bytes[at + 1]
  if (major !== undefined && major !== 3) return "it is not TLS"
  if (at + recordHeaderBytes > bytes.length) return undefined
  const length = uint16(bytes, at + 3)
  // RFC 8446 section 5.1: fragments of handshake messages are not empty.
  if (length === 0) return "a record is empty"
  return length > mostRecordBytes ? "a record is too long" : undefined
}

function more(least: number): HelloRead {
  return least > mostHelloBytes ? bad(tooLong) : { kind: "more", least }
}

function firstBytes(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = parts
  if (first !== undefined && first.length >= length) return first.subarray(0, length)
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    if (at >= length) break
    const piece = part.subarray(0, length - at)
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

const extension = { serverName: 0, alpn: 16 } as const

/** A string says what is wrong. */
function readHelloBody(body: Uint8Array): ClientHello | string {
  // legacy_version and random
  let at = 34
  at = skip(body, at, 1)
  at = skip(body, at, 2)
  at = skip(body, at, 1)
  if (at > body.length) return cutOff
  // Clients up to TLS 1.2 may have no extensions at all.
  if (at === body.length) return { serverName: undefined, alpn: [] }
  const end = skip(body, at, 2)
  if (end !== body.length) return end > body.length ? cutOff : "something follows its extensions"
  at += 2
  let serverName: string | undefined
  let alpn: readonly string[] | undefined
  while (at < end) {
    const next = skip(body, at + 2, 2)
    if (next > end) return cutOff
    const type = uint16(body, at)
    const data = body.subarray(at + 4, next)
    if (type === extension.serverName) {
      if (serverName !== undefined) return "it has two server names"
      const name = readServerName(data)
      if (name === undefined) return "its server name is wrong"
      serverName = name
    } else if (type === extension.alpn) {
      if (alpn !== undefined) return "it has two lists of protocols"
      alpn = readProtocols(data)
      if (alpn === undefined) return "its list of protocols is wrong"
    }
    at = next
  }
  return { serverName, alpn: alpn ?? [] }
}

const cutOff = "a part of it is longer than the whole"

/** The place behind a vector whose length stands in `lengthBytes` bytes at `at`; beyond the end when it is not all there. */
function skip(bytes: Uint8Array, at: number, lengthBytes: 1 | 2): number {
  if (at + lengthBytes > bytes.length) return Infinity
  return at + lengthBytes + (lengthBytes === 1 ? (bytes[at] as number) : uint16(bytes, at))
}

/** One name, of the only type that there is (host_name). Names are ASCII here; others travel as A-labels. */
function readServerName(data: Uint8Array): string | undefined {
  if (data.length < 5 || skip(data, 0, 2) !== data.length || data[2] !== 0 || skip(data, 3, 2) !== data.length) {
    return undefined
  }
  const name = latin1(data.subarray(5)).toLowerCase()
  return /^[a-z0-9_](?:[a-z0-9._-]{0,253}[a-z0-9_])?$/.test(name) ? name : undefined
}

function readProtocols(data: Uint8Array): string[] | undefined {
  if (data.length < 4 || skip(data, 0, 2) !== data.length) return undefined
  const names: string[] = []
  for (let at = 2; at < data.length;) {
    const next = skip(data, at, 1)
    if (next > data.length || next === at + 1) return undefined
    names.push(latin1(data.subarray(at + 1, next)))
    at = next
  }
  return names
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}
