/**
 * Heads from metadata blocks. The other end of a tunnel is a peer, not a part of us: what it sends is judged as strictly
 * as what a stranger sends, so that a head that was read here can be written anywhere.
 */

import { RdvError } from "../base/error.ts"
import { allOf, isText, isToken, targetByte } from "./grammar.ts"
import type { Json, JsonObject } from "../base/json.ts"
import type { RequestHead, ResponseHead } from "./head.ts"

/** Characters in all texts of one head. */
const headLimit = 64 * 1024

/** Reads `{ method, target, minor, headers }`; other keys are ignored. Throws `protocol`, naming the part. */
export function readRequestHead(json: JsonObject): RequestHead {
  const { method, target } = json
  if (typeof method !== "string" || !isToken(method) || method === "CONNECT") throw wrong("method")
  if (typeof target !== "string" || !allOf(target, targetByte)) throw wrong("target")
  if (target.charCodeAt(0) !== 47 && (target !== "*" || method !== "OPTIONS")) throw wrong("target")
  const minor = readMinor(json["minor"])
  return { method, target, minor, headers: readHeaders(json["headers"], method.length + target.length) }
}

/** Reads `{ status, reason, minor, headers }`; other keys are ignored. Throws `protocol`, naming the part. */
export function readResponseHead(json: JsonObject): ResponseHead {
  const { status, reason } = json
  if (typeof status !== "number" || !Number.isInteger(status) || status < 100 || status > 999) throw wrong("status")
  if (typeof reason !== "string" || !isText(reason)) throw wrong("reason")
  const minor = readMinor(json["minor"])
  return { status, reason, minor, headers: readHeaders(json["headers"], reason.length) }
}

/** Reads a flat array of trailers or header fields. Throws `protocol`. */
export function readHeaders(json: Json | undefined, before = 0): string[] {
  if (!Array.isArray(json) || json.length % 2 !== 0) throw wrong("headers")
  const parts = json as readonly Json[]
  const headers: string[] = []
  let size = before
  for (let at = 0; at < parts.length; at += 2) {
    const name = parts[at]
    const value = parts[at + 1]
    if (typeof name !== "string" || !isToken(name)) throw wrong("headers")
    if (typeof value !== "string" || !isText(value)) throw wrong("headers")
    // As the readers of bytes give them: a space at the rim would not survive the way.
    if (isPadded(value)) throw wrong("headers")
    size += name.length + value.length + 4
    if (size > headLimit) throw new RdvError("protocol", `A message head is larger than ${headLimit} bytes`)
    headers.push(name, value)
  }
  if (size > headLimit) throw new RdvError("protocol", `A message head is larger than ${headLimit} bytes`)
  return headers
}

/** Who leaves it out speaks HTTP/1.1. */
function readMinor(json: Json | undefined): 0 | 1 {
  if (json === undefined) return 1
  if (json !== 0 && json !== 1) throw wrong("minor")
  return json
}

function isPadded(value: string): boolean {
  const first = value.charCodeAt(0)
  const last = value.charCodeAt(value.length - 1)
  return first === 32 || first === 9 || last === 32 || last === 9
}

function wrong(part: string): RdvError {
  return new RdvError("protocol", `A message head with a wrong "${part}"`)
}
