/**
 * The handshake's messages: JSON objects in HELLO frames, each followed by a CHECK. Unknown keys are ignored, so that
 * later versions can add some; known ones are read strictly, because a stranger wrote them.
 *
 *     new session      dialer  new ───────▶ acceptor
 *                              ◀── welcome | refuse
 *     next link        dialer  resume ────▶
 *                              ◀─ challenge | refuse
 *                              proof ─────▶
 *                              ◀── resumed | refuse
 */

import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import type { JsonObject } from "../base/json.ts"
import { maxCreditBytes, minWindowBytes } from "./limits.ts"

/** What each side announces about itself. */
export interface Announced {
  /** Payload bytes that the peer may send on a stream it opened, before any CREDIT. */
  readonly windowBytes: number
  /** Streams that the peer may have open at once. */
  readonly streams: number
  /** The side wants CHECK frames, because its transport does not protect bytes. */
  readonly check: boolean
}

export interface NewHello extends Announced {
  readonly kind: "new"
  readonly versions: readonly number[]
  readonly token: string | undefined
  /** Program and version, for people. */
  readonly agent: string
  /** The same for all sessions of one installation; lets its new session take over from its dead one. */
  readonly instance: string | undefined
}

export interface WelcomeHello extends Announced {
  readonly kind: "welcome"
  readonly version: number
  readonly session: string
  /** base64url of the 32 bytes that prove possession of the session. */
  readonly secret: string
  /** How long the acceptor keeps the session without a link, ms. */
  readonly graceMs: number
}

export interface ResumeHello {
  readonly kind: "resume"
  readonly versions: readonly number[]
  readonly session: string
  readonly nonce: string
  readonly check: boolean
}

export interface ChallengeHello {
  readonly kind: "challenge"
  readonly nonce: string
  readonly check: boolean
}

/** `proof` by the dialer, `resumed` by the acceptor. */
export interface ProofHello {
  readonly kind: "proof" | "resumed"
  /** base64url of HMAC-SHA-256 with the session's secret. */
  readonly proof: string
  /** Bytes of sequenced frames that the sender of this message has applied. */
  readonly received: number
}

export interface RefuseHello {
  readonly kind: "refuse"
  readonly code: number
  readonly reason: string
}

export type Hello = NewHello | WelcomeHello | ResumeHello | ChallengeHello | ProofHello | RefuseHello

/** Reads a message. Throws `protocol` that names the key at fault. */
export function readHello(json: JsonObject): Hello {
  const kind = json["kind"]
  switch (kind) {
    case "new":
      return {
        kind,
        versions: numbers(json, "versions"),
        token: optionalText(json, "token", 256),
        agent: optionalText(json, "agent", 128) ?? "unknown",
        instance: optionalText(json, "instance", 64),
        ...announced(json),
      }
    case "welcome":
      return {
        kind,
        version: count(json, "version", 1, 255),
        session: text(json, "session", 64),
        secret: text(json, "secret", 64),
        graceMs: count(json, "graceMs", 0, maxGraceMs),
        ...announced(json),
      }
    case "resume":
      return {
        kind,
        versions: numbers(json, "versions"),
        session: text(json, "session", 64),
        nonce: nonce(json),
        check: flag(json, "check"),
      }
    case "challenge":
      return { kind, nonce: nonce(json), check: flag(json, "check") }
    case "proof":
    case "resumed":
      return {
        kind,
        proof: text(json, "proof", 64),
        received: count(json, "received", 0, Number.MAX_SAFE_INTEGER),
      }
    case "refuse":
      return { kind, code: count(json, "code", 0, 0xffff), reason: optionalText(json, "reason", 512) ?? "" }
    default:
      throw new RdvError("protocol", `A HELLO of unknown kind ${JSON.stringify(kind ?? null).slice(0, 40)}`)
  }
}

/** A week: longer waits are a mistake in a configuration, not patience. */
const maxGraceMs = 7 * 24 * 3600 * 1000

function announced(json: JsonObject): Announced {
  const limits = json["limits"]
  if (!isJsonObject(limits)) throw wrong("limits", "an object")
  return {
    windowBytes: count(limits, "window", minWindowBytes, maxCreditBytes),
    streams: count(limits, "streams", 0, 2 ** 31),
    check: flag(json, "check"),
  }
}

/** The JSON of what both `new` and `welcome` announce. */
export function announcedJson(announcement: Announced): JsonObject {
  return {
    limits: { window: announcement.windowBytes, streams: announcement.streams },
    check: announcement.check,
  }
}

function text(json: JsonObject, key: string, most: number): string {
  const value = json[key]
  if (typeof value !== "string" || value.length === 0 || value.length > most) {
    throw wrong(key, `text of 1 to ${most} characters`)
  }
  return value
}

/** Read strictly: it becomes part of the text under the proofs, whose parts must not run into each other. */
function nonce(json: JsonObject): string {
  const value = json["nonce"]
  if (typeof value !== "string" || !/^[\w-]{22}$/.test(value)) throw wrong("nonce", "base64url of 16 bytes")
  return value
}

function optionalText(json: JsonObject, key: string, most: number): string | undefined {
  return json[key] === undefined ? undefined : text(json, key, most)
}

function count(json: JsonObject, key: string, least: number, most: number): number {
  const value = json[key]
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw wrong(key, `a whole number from ${least} to ${most}`)
  }
  return value
}

function numbers(json: JsonObject, key: string): number[] {
  const value = json[key]
  if (!Array.isArray(value) || value.length > 16 || !value.every((item) => typeof item === "number")) {
    throw wrong(key, "a list of numbers")
  }
  return value as number[]
}

function flag(json: JsonObject, key: string): boolean {
  const value = json[key]
  if (typeof value !== "boolean") throw wrong(key, "true or false")
  return value
}

function wrong(key: string, expected: string): RdvError {
  return new RdvError("protocol", `"${key}" of a HELLO must be ${expected}`)
}
