/** The golden bytes of docs/reference/share-protocol.md: codes, keys, chunks, manifests and tables, built from its text by hand. */

import { createCipheriv, createHash, createHmac, hkdfSync, scryptSync } from "node:crypto"
import { Blake3 } from "../../src/capabilities/share/content/blake3.ts"

type Hash = "blake3" | "sha256"

const hex = (...parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString("hex")
const u8 = (value: number): Buffer => Buffer.of(value)
const u32 = (value: number): Buffer => Buffer.from(value.toString(16).padStart(8, "0"), "hex")

// Codes

const consonants = "bdfghjklmnprstvz"
const vowels = "aiou"

/** Five letters for 16 bits. */
function word(bits: string): string {
  const [a, b, c, d, e] = [bits.slice(0, 4), bits.slice(4, 6), bits.slice(6, 10), bits.slice(10, 12), bits.slice(12)]
  const from = (letters: string, part: string): string => letters.charAt(Number.parseInt(part, 2))
  return [from(consonants, a), from(vowels, b), from(consonants, c), from(vowels, d), from(consonants, e)].join("")
}

/** The remainder of digits and secret, 8 zeros behind them, by x⁸ + x² + x + 1: long division on text. */
function remainder(swarm: string, secret: Buffer): string {
  const digits = swarm.replaceAll(/\d/g, (digit) => Number(digit).toString(2).padStart(4, "0"))
  const bits = `${digits}${bitsOf(secret)}00000000`.split("").map(Number)
  for (let at = 0; at + 8 < bits.length; at++) {
    if (bits[at] === 0) continue
    for (const power of [8, 2, 1, 0]) bits[at + 8 - power] = (bits[at + 8 - power] as number) ^ 1
  }
  return bits.slice(-8).join("")
}

function bitsOf(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("")
}

function code(swarm: string, secretHex: string): { swarm: string; secret: string; check: string; code: string; link: string } {
  const secret = Buffer.from(secretHex, "hex")
  const check = remainder(swarm, secret)
  const words = ((bitsOf(secret) + check).match(/.{16}/g) ?? []).map(word).join("-")
  return {
    swarm,
    secret: secretHex,
    check: hex(Buffer.of(Number.parseInt(check, 2))),
    code: `${swarm}-${words}`,
    link: `https://relay.example/share/${swarm}#${words}`,
  }
}

const codes = [
  code("482713", "7f0000013f54dcc107"),
  code("000000", "000000000000000000"),
  code("999999", "ffffffffffffffffff"),
  code("104729", "0123456789abcdef55"),
]

// Keys

function keys(which: { swarm: string; secret: string; code: string }, password: string): { [name: string]: string } {
  const secret = Buffer.concat([Buffer.from(which.secret, "hex"), Buffer.from(password.normalize("NFKC"))])
  const root = scryptSync(secret, `rdv/share/1 ${which.swarm}`, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 })
  const key = (use: string): string => hex(Buffer.from(hkdfSync("sha256", root, "", `rdv/share/1 ${use}`, 32)))
  const access = key("access")
  return {
    code: which.code,
    password,
    access,
    accessHash: createHash("sha256").update(Buffer.from(access, "hex")).digest("hex"),
    identity: key("identity"),
    seal: key("seal"),
    table: key("table"),
    peer: key("peer"),
  }
}

const [first, second] = codes as [(typeof codes)[0], (typeof codes)[0]]
const allKeys = [keys(first, ""), keys(first, "caf\u00e9"), keys(second, "")]
const used = allKeys[0] as { [name: string]: string }

// Chunks

function hash(name: Hash, bytes: Uint8Array): Buffer {
  return name === "sha256" ? createHash("sha256").update(bytes).digest() : Buffer.from(new Blake3().hash(bytes))
}

function keyed(name: Hash, use: "identity" | "seal", bytes: Uint8Array): Buffer {
  const key = Buffer.from(used[use] as string, "hex")
  return name === "sha256"
    ? createHmac("sha256", key).update(bytes).digest()
    : Buffer.from(new Blake3(key).hash(bytes))
}

function seal(name: Hash, plain: Uint8Array, identity: Uint8Array): Buffer {
  const cipher = createCipheriv("aes-256-gcm", keyed(name, "seal", identity), Buffer.alloc(12))
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

const contents = [Buffer.from("Every chunk is proven on arrival.\n"), Buffer.alloc(70, "0123456789")]

function chunk(name: Hash, plain: Buffer): { hash: Hash; plain: string; identity: string; sealed: string; sealedHash: string } {
  const identity = keyed(name, "identity", plain)
  const sealed = seal(name, plain, identity)
  return { hash: name, plain: hex(plain), identity: hex(identity), sealed: hex(sealed), sealedHash: hex(hash(name, sealed)) }
}

const chunks = (["blake3", "sha256"] as const).flatMap((name) => contents.map((plain) => chunk(name, plain)))

// A manifest, sealed, and its table

/** LEB128. */
function number(value: number): Buffer {
  const bytes: number[] = []
  let left = BigInt(value)
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0))
    left >>= 7n
  } while (left > 0n)
  return Buffer.from(bytes)
}

const text = (value: string | Buffer): Buffer => Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)])

/** Flags, what is shared with the path before, the rest of the path. */
function head(flags: number, shared: number, rest: string | Buffer): Buffer {
  return Buffer.concat([u8(flags), number(shared), text(rest)])
}

function version(name: Hash): object {
  const [one, two] = chunks.filter((each) => each.hash === name) as [(typeof chunks)[0], (typeof chunks)[0]]
  const manifest = {
    name: "report",
    entries: [
      { type: "folder", path: "figures", mode: 0o755, mtimeMs: 1_700_000_000_123 },
      { type: "file", path: "figures/empty.csv", size: 0 },
      { type: "file", path: "figures/zeros.bin", size: 100_000, mode: 0o600, mtimeMs: -1 },
      { type: "file", path: "figures-old\udcff", size: 34 },
      { type: "symlink", path: "figures-old\udcff.link", target: "figures/empty.csv" },
      { type: "file", path: "text", size: 174 },
    ],
    pieces: [
      { chunk: "zeros", length: 100_000, identity: "" },
      { chunk: 1, length: 34, identity: one.identity },
      { chunk: 2, length: 70, identity: two.identity },
      { chunk: 1, length: 34, identity: one.identity },
      { chunk: 2, length: 70, identity: two.identity },
    ],
  }
  const piece = (length: number, at: number, identity: string): Buffer =>
    Buffer.concat([number(length), number(at), Buffer.from(identity, "hex")])
  const encoded = Buffer.concat([
    u8(1),
    text("report"),
    number(6),
    head(1 | 4 | 8, 0, "figures"), number(0o755), number(2 * 1_700_000_000_123),
    head(0, 7, "/empty.csv"), number(0),
    head(0 | 4 | 8, 8, "zeros.bin"), number(100_000), number(0o600), number(1),
    head(0, 7, Buffer.from("2d6f6c64ff", "hex")), number(34),
    head(2, 12, ".link"), text("figures/empty.csv"),
    head(0, 0, "text"), number(174),
    number(5),
    piece(100_000, 0, ""),
    piece(34, 2, one.identity),
    piece(70, 3, two.identity),
    piece(34, 2, one.identity),
    piece(70, 3, two.identity),
  ])
  const salt = Buffer.alloc(32, 0xa5)
  const seed = Buffer.concat([Buffer.from("rdv/share/1 manifest"), salt, u32(1), u32(0)])
  const sealed = Buffer.concat([salt, seal(name, encoded, seed)])
  const rows = [sealed, ...[one, two].map((each) => Buffer.from(each.sealed, "hex"))].map((each) =>
    Buffer.concat([u32(each.length), hash(name, each)]),
  )
  const top = Buffer.concat([u8(1), u8(name === "blake3" ? 1 : 2), u8(0), u8(0), u32(7), u32(1), u32(rows.length)])
  const table = Buffer.concat([top, ...rows])
  const [a, b, c] = rows.map((row) => hash(name, Buffer.concat([u8(0), row]))) as [Buffer, Buffer, Buffer]
  const pair = hash(name, Buffer.concat([u8(1), a, b]))
  const root = hash(name, Buffer.concat([u8(2), top, hash(name, Buffer.concat([u8(1), pair, c]))]))
  return {
    hash: name,
    version: 7,
    manifest,
    encoded: hex(encoded),
    salt: hex(salt),
    sealed: hex(sealed),
    table: hex(table),
    root: hex(root),
    mac: createHmac("sha256", Buffer.from(used["table"] as string, "hex")).update(table).digest("hex"),
  }
}

const refusedManifests: [string, Buffer][] = [
  ["another format", Buffer.concat([u8(2), text("a"), number(0), number(0)])],
  ["a byte behind the end", Buffer.concat([u8(1), text("a"), number(0), number(0), u8(0)])],
  ["a number that is longer than it needs to be", Buffer.concat([u8(1), text("a"), Buffer.of(0x80, 0), number(0)])],
  ["a name that leads out", Buffer.concat([u8(1), text(".."), number(0), number(0)])],
  ["a path that leads out", Buffer.concat([u8(1), text("a"), number(1), head(1, 0, "b/../../c"), number(0)])],
  ["the same path twice", Buffer.concat([u8(1), text("a"), number(2), head(1, 0, "b"), head(1, 1, ""), number(0)])],
  ["a path below a link", Buffer.concat([u8(1), text("a"), number(2), head(2, 0, "b"), text("c"), head(1, 1, "/d"), number(0)])],
  ["a link that leads out", Buffer.concat([u8(1), text("a"), number(1), head(2, 0, "b"), text("../c"), number(0)])],
  ["a file without its pieces", Buffer.concat([u8(1), text("a"), number(1), head(0, 0, ""), number(1), number(0)])],
  ["more entries than there are bytes", Buffer.concat([u8(1), text("a"), number(2 ** 20)])],
]

interface KeyVector {
  readonly [name: string]: string
}

interface ShareVectors {
  readonly about: readonly string[]
  readonly codes: readonly ReturnType<typeof code>[]
  readonly wrongCodes: readonly string[]
  readonly keys: readonly KeyVector[]
  readonly chunks: readonly ReturnType<typeof chunk>[]
  readonly versions: readonly object[]
  readonly refusedManifests: readonly { readonly why: string; readonly hex: string }[]
}

export const shareVectors: ShareVectors = {
  about: [
    "Codes and links; keys of the first code (and of others); chunks, and two versions with their manifest and table, under the keys",
    "of the first code without a password. All bytes in hexadecimal. U+DCFF in a path is the byte FF, which is no UTF-8.",
  ],
  codes: codes,
  wrongCodes: [
    "482713-lusab-babad-gutih-tugad-babab",
    "482714-" + first.code.slice(7),
    first.code.slice(0, -1),
    first.code.replace("lusab", "lusaq"),
  ],
  keys: allKeys,
  chunks: chunks,
  versions: [version("blake3"), version("sha256")],
  refusedManifests: refusedManifests.map(([why, bytes]) => ({ why, hex: hex(bytes) })),
}
