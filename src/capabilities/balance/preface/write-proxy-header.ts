/** Tells a target where a connection really comes from, in the PROXY protocol (HAProxy's specification). */

import type { HostPort } from "../../../config/host-port.ts"
import { crc32c } from "./crc32c.ts"
import { ipBytes, ipv6Text, widened } from "./ip-bytes.ts"
import { proxyField } from "./proxy-header.ts"

export interface ProxyFacts {
  /** Undefined, or not an IP address: the header says that nobody knows. */
  readonly source: HostPort | undefined
  readonly destination: HostPort | undefined
  /** These do not fit into version 1. Names are cut off by nobody: longer ones than allowed are left out. */
  readonly authority?: string | undefined
  /** Latin-1. */
  readonly alpn?: string | undefined
  readonly uniqueId?: Uint8Array | undefined
  /** The client used TLS with us. */
  readonly tls?:
    | {
        readonly version: string | undefined
        /** Of its certificate, which we have verified. */
        readonly commonName: string | undefined
      }
    | undefined
  readonly custom?: Uint8Array | undefined
}

export function writeProxyHeader(version: "v1" | "v2", facts: ProxyFacts): Uint8Array {
  const ends = endsOf(facts)
  return version === "v1" ? writeLine(facts, ends) : writeBinary(facts, ends)
}

/** Both addresses in one family. */
interface Ends {
  readonly source: Uint8Array
  readonly destination: Uint8Array
}

function endsOf({ source, destination }: ProxyFacts): Ends | undefined {
  if (source === undefined || destination === undefined) return undefined
  const from = ipBytes(source.host)
  const to = ipBytes(destination.host)
  if (from === undefined || to === undefined) return undefined
  return from.length === to.length
    ? { source: from, destination: to }
    : { source: widened(from), destination: widened(to) }
}

function writeLine({ source, destination }: ProxyFacts, ends: Ends | undefined): Uint8Array {
  if (ends === undefined) return Buffer.from("PROXY UNKNOWN\r\n", "latin1")
  const isIPv4 = ends.source.length === 4
  const text = (bytes: Uint8Array) => (isIPv4 ? bytes.join(".") : ipv6Text(bytes, 0))
  const words = [text(ends.source), text(ends.destination), source?.port, destination?.port]
  return Buffer.from(`PROXY ${isIPv4 ? "TCP4" : "TCP6"} ${words.join(" ")}\r\n`, "latin1")
}

const head = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10, 0x21)

function writeBinary(facts: ProxyFacts, ends: Ends | undefined): Uint8Array {
  // Without addresses, receivers do not look for fields.
  if (ends === undefined) return Buffer.concat([head, Uint8Array.of(0, 0, 0)])
  const { source, destination } = facts
  const ports = Uint8Array.of(...uint16(source?.port ?? 0), ...uint16(destination?.port ?? 0))
  const body = Buffer.concat([ends.source, ends.destination, ports, ...fieldsOf(facts)])
  const crc = field(proxyField.crc32c, new Uint8Array(4))
  const family = ends.source.length === 4 ? 0x11 : 0x21
  const length = body.length + crc.length
  const whole = Buffer.concat([head, Uint8Array.of(family, ...uint16(length)), body, crc])
  whole.writeUInt32BE(crc32c(whole), whole.length - 4)
  return whole
}

function fieldsOf({ authority, alpn, uniqueId, tls, custom }: ProxyFacts): Uint8Array[] {
  const fields: Uint8Array[] = []
  const add = (type: number, value: Uint8Array | undefined, most: number) => {
    if (value !== undefined && value.length <= most) fields.push(field(type, value))
  }
  add(proxyField.alpn, alpn === undefined ? undefined : Buffer.from(alpn, "latin1"), 255)
  add(proxyField.authority, authority === undefined ? undefined : Buffer.from(authority), 255)
  add(proxyField.uniqueId, uniqueId, 128)
  add(proxyField.custom, custom, 4096)
  if (tls !== undefined) {
    // Bits: TLS is used, and a certificate was shown in this connection. What is verified has a result of 0.
    const parts: Uint8Array[] = [Uint8Array.of(tls.commonName === undefined ? 1 : 3, 0, 0, 0, 0)]
    if (tls.version !== undefined) parts.push(field(proxyField.tlsVersion, Buffer.from(tls.version)))
    if (tls.commonName !== undefined) parts.push(field(proxyField.tlsCommonName, Buffer.from(tls.commonName)))
    add(proxyField.tls, Buffer.concat(parts), 1024)
  }
  return fields
}

function field(type: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(type, ...uint16(value.length)), value])
}

function uint16(value: number): [number, number] {
  return [value >> 8, value & 255]
}
