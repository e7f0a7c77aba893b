/**
 * What two servers say to each other through the relay before they talk directly (docs/protocol.md, section 9.9). The relay
 * carries it and must not be believed: each description is signed by its server's key together with both names, both keys,
 * what both have drawn for this one time, and the session that they mean. With the description the certificate of the
 * connection is signed, so whoever stands in between would have to have the key.
 *
 *     caller   ── header: half, session ──▶ callee        (OPEN)
 *              ◀─ hello: key, half, session
 *     offerer  ── offer ──▶ answerer                      (the one with the smaller key offers, whoever called)
 *              ◀─ answer
 *              ◀─ candidate ─▶                            (both, until the channel is open)
 */

import { base64url, concat, fromBase64url, randomBytes } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import { utf8Encode } from "../../../base/text.ts"
import { mostMessageBytes } from "../../../transport/data-channel.ts"
import { isIdentityKeyText, signAs, verifyAs } from "../identity/key-pair.ts"
import type { IdentityKey } from "../identity/key-pair.ts"
import type { RtcCandidate } from "./rtc.ts"

const signalVersion = 1

/** One of the two. */
export interface SignalParty {
  readonly name: string
  readonly key: string
  /** 32 random bytes for this one time, base64url: half of the secret that begins the session. */
  readonly half: string
  /** The session that it has with the other one; empty: none. */
  readonly session: string
}

export interface Signed {
  readonly kind: "offer" | "answer"
  readonly sdp: string
  readonly by: SignalParty
  readonly to: SignalParty
}

export function newHalf(): string {
  return base64url(randomBytes(halfBytes))
}

export function callHeader({ half, session }: SignalParty): JsonObject {
  return { kind: "signal", version: signalVersion, half, session }
}

export function helloBlock({ key, half, session }: SignalParty): JsonObject {
  return { do: "hello", key, half, session }
}

export async function descriptionBlock(pair: IdentityKey, signed: Signed): Promise<JsonObject> {
  const signature = base64url(await signAs(pair, "signal", statementOf(signed)))
  return { do: signed.kind, sdp: signed.sdp, signature }
}

export function candidateBlock({ candidate, mid }: RtcCandidate): JsonObject {
  return { do: "candidate", candidate, mid }
}

/** Reads the header of a call, without `name` and `key`, which are the relay's. Throws `protocol` or `version`. */
export function readCallHeader(header: JsonObject): Pick<SignalParty, "half" | "session"> {
  if (header["version"] !== signalVersion) throw new RdvError("version", "This server talks directly in another way")
  return { half: half(header["half"]), session: text(header["session"], "session", mostSessionText) }
}

export function readHello(block: JsonObject): Pick<SignalParty, "key" | "half" | "session"> {
  const key = text(block["key"], "key", 43)
  if (block["do"] !== "hello" || !isIdentityKeyText(key)) throw wrong("key")
  return { key, half: half(block["half"]), session: text(block["session"], "session", mostSessionText) }
}

/** The description, when the party that it shall be by has signed it for this one time. Rejects `protocol` or `forbidden`. */
export async function readDescription(block: JsonObject, expected: Omit<Signed, "sdp">): Promise<string> {
  if (block["do"] !== expected.kind) throw wrong("do")
  const sdp = text(block["sdp"], "sdp", mostSdpText)
  const signature = fromBase64url(text(block["signature"], "signature", 100)) ?? new Uint8Array()
  if (await verifyAs(expected.by.key, "signal", statementOf({ ...expected, sdp }), signature)) return sdp
  throw new RdvError(
    "forbidden",
    `The ${expected.kind} in the name of "${expected.by.name}" is not signed with its key`,
  )
}

export function readCandidate(block: JsonObject): RtcCandidate {
  return { candidate: text(block["candidate"], "candidate", 1000), mid: text(block["mid"], "mid", 100) }
}

/** The secret that begins a session: from both halves, the offerer's first. */
export async function tokenOf(offerer: SignalParty, answerer: SignalParty): Promise<string> {
  const bytes = utf8Encode(`rdv tab channel 1\0${offerer.half}\0${answerer.half}`)
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes))))
}

/** How long a message may be that its writer takes (RFC 8841, section 6), as far as it matters. */
export function messageBytesOf(sdp: string): number {
  const said = Number(/^a=max-message-size:(\d{1,10})\s*$/m.exec(sdp)?.[1] ?? mostMessageBytes)
  return said === 0 ? mostMessageBytes : Math.min(said, mostMessageBytes)
}

function statementOf({ kind, sdp, by, to }: Signed): Uint8Array {
  const facts = [kind, by.name, to.name, by.key, to.key, by.half, to.half, by.session, to.session]
  return concat([utf8Encode(`${facts.join("\0")}\0`), utf8Encode(sdp)])
}

function half(value: Json | undefined): string {
  const bytes = typeof value === "string" && value.length === 43 ? fromBase64url(value) : undefined
  if (bytes?.length !== halfBytes || base64url(bytes) !== value) throw wrong("half")
  return value as string
}

function text(value: Json | undefined, name: string, most: number): string {
  // Facts of a statement are divided by zero bytes.
  if (typeof value !== "string" || value.length > most || value.includes("\0")) throw wrong(name)
  return value
}

function wrong(name: string): RdvError {
  return new RdvError("protocol", `"${name}" of a peer's signal is missing or wrong`)
}

const halfBytes = 32
const mostSessionText = 100
const mostSdpText = 16_384
