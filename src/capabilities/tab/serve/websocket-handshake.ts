/** The opening handshake at the server's side (RFC 6455 section 4.2). */

import { headerValue, headerValues, listWords } from "../../../base/header-fields.ts"
import { latin1Encode } from "../../../base/text.ts"
import type { RequestHead } from "../../../http1/head.ts"
import type { Visitor } from "../app/visitor.ts"
import { plainAnswer } from "./plain-answer.ts"

/** A refusal, or undefined for a request that asks well. */
export function refusalOf(head: RequestHead, visitor: Visitor): Response | undefined {
  if (head.method !== "GET" || head.minor !== 1) return plainAnswer(400, "A WebSocket begins with GET and HTTP/1.1")
  if (headerValue(head.headers, "sec-websocket-version") !== "13") {
    return plainAnswer(426, "The server speaks WebSocket version 13", { "sec-websocket-version": "13" })
  }
  const keys = headerValues(head.headers, "sec-websocket-key")
  if (keys.length !== 1 || !/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(keys[0] as string)) {
    return plainAnswer(400, "Sec-WebSocket-Key is not 16 bytes in base64")
  }
  // No other rule of browsers keeps a page of another origin away from a server on this machine.
  if (visitor.kind === "own" && isForeign(head)) return plainAnswer(403, "A page of another origin may not connect")
  return undefined
}

/** The fields of the answer 101. Of the protocols that are offered the first one is taken: browsers insist on one. */
export async function acceptingFields(head: RequestHead): Promise<string[]> {
  const key = headerValue(head.headers, "sec-websocket-key") ?? ""
  const digest = await crypto.subtle.digest("SHA-1", latin1Encode(key + magic) as Uint8Array<ArrayBuffer>)
  const accept = btoa(String.fromCharCode(...new Uint8Array(digest)))
  const fields = ["Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Accept", accept]
  const [protocol] = headerValues(head.headers, "sec-websocket-protocol").flatMap(listWords)
  return protocol === undefined ? fields : [...fields, "Sec-WebSocket-Protocol", protocol]
}

/** Section 1.3. */
const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

function isForeign(head: RequestHead): boolean {
  const origin = headerValue(head.headers, "origin")
  if (origin === undefined) return false
  const host = headerValue(head.headers, "host")
  return !URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase()
}
