/**
 * Makes X.509 certificates (RFC 5280) with ECDSA P-256 keys: Node can sign and read them, but not write them. For
 * development only; public certificates come from an authority.
 */

import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto"
import type { KeyObject } from "node:crypto"
import { isIP } from "node:net"
import {
  bitString,
  boolean,
  der,
  integer,
  objectId,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from "./der.ts"

/** Both PEM. */
export interface Certified {
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  /** For people: the common name. */
  readonly title: string
  readonly from: Date
  readonly until: Date
}

export interface ServerOptions extends CertificateOptions {
  /** Host names, `*.` in front for all labels below one, and IP addresses. */
  readonly names: readonly string[]
}

export interface AuthorityOptions extends CertificateOptions {
  /** The only domains that it may vouch for, so that trusting it risks little. */
  readonly domains: readonly string[]
}

/** An authority that signs itself. */
export function makeAuthority(options: AuthorityOptions): Certified {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const spki = keys.publicKey.export({ type: "spki", format: "der" })
  const permitted = options.domains.map((domain) => sequence(der(dnsNameTag, Buffer.from(domain))))
  const extensions = [
    extension(oid.basicConstraints, sequence(boolean(true), integer(Uint8Array.of(0))), true),
    // keyCertSign and cRLSign: bits 5 and 6.
    extension(oid.keyUsage, bitString(Uint8Array.of(0b0000_0110), 1), true),
    extension(oid.nameConstraints, sequence(tagged(0, ...permitted)), true),
    extension(oid.subjectKeyId, octetString(keyId(spki))),
  ]
  const issuer = name(options.title)
  return { cert: certificate(options, issuer, issuer, spki, extensions, keys.privateKey), key: pem(keys.privateKey) }
}

/** A server's certificate, signed by the authority. */
export function makeServerCertificate(options: ServerOptions, authority: Certified): Certified {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const spki = keys.publicKey.export({ type: "spki", format: "der" })
  const issued = new X509Certificate(authority.cert)
  const issuerSpki = issued.publicKey.export({ type: "spki", format: "der" })
  const issuer = name(commonName(issued))
  const extensions = [
    extension(oid.basicConstraints, sequence(), true),
    // digitalSignature: bit 0.
    extension(oid.keyUsage, bitString(Uint8Array.of(0b1000_0000), 7), true),
    extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth))),
    extension(oid.subjectAltName, sequence(...options.names.map(generalName))),
    extension(oid.subjectKeyId, octetString(keyId(spki))),
    extension(oid.authorityKeyId, sequence(der(0x80, keyId(issuerSpki)))),
  ]
  const signer = createPrivateKey(authority.key)
  return {
    cert: certificate(options, issuer, name(options.title), spki, extensions, signer),
    key: pem(keys.privateKey),
  }
}

const oid = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const

/** GeneralName: `[2] dNSName`, `[7] iPAddress` (RFC 5280 section 4.2.1.6). */
const dnsNameTag = 0x82
const ipAddressTag = 0x87

function certificate(
  { from, until }: CertificateOptions,
  issuer: Uint8Array,
  subject: Uint8Array,
  spki: Uint8Array,
  extensions: readonly Uint8Array[],
  signer: KeyObject,
): string {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256))
  const serial = randomBytes(16)
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40
  const body = sequence(
    // Version 3.
    tagged(0, integer(Uint8Array.of(2))),
    integer(serial),
    algorithm,
    issuer,
    sequence(time(from), time(until)),
    subject,
    spki,
    tagged(3, sequence(...extensions)),
  )
  const signed = sequence(body, algorithm, bitString(sign("sha256", body, signer)))
  const lines =
    Buffer.from(signed)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}

function name(text: string): Uint8Array {
  return sequence(set(sequence(objectId(oid.commonName), utf8String(text))))
}

/** The one part that our names have. */
function commonName(certified: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certified.subject)?.[1] ?? ""
}

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), octetString(value))
}

function generalName(text: string): Uint8Array {
  const family = isIP(text)
  if (family === 0) return der(dnsNameTag, Buffer.from(text))
  return der(ipAddressTag, family === 4 ? Uint8Array.from(text.split("."), Number) : ipv6Bytes(text))
}

function ipv6Bytes(text: string): Uint8Array {
  // The URL parser gives the shortest form without an embedded IPv4 address.
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::")
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)))
  const left = groups(head)
  const right = groups(tail ?? "")
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

/** RFC 5280 section 4.2.1.2, method 1 would hash the bits of the key alone; any stable value does. */
function keyId(spki: Uint8Array): Uint8Array {
  return createHash("sha256").update(spki).digest().subarray(0, 20)
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string
}
