/** Heads of messages between metadata blocks (docs/protocol.md, section 9.2) and the words of the web platform. */

import { hasToken, headerValue } from "../../../base/header-fields.ts"
import { isAuthority } from "../../../http1/grammar.ts"
import type { RequestHead } from "../../../http1/head.ts"

/** Throws `TypeError` for a field that the platform does not take. */
export function headersFrom(flat: readonly string[]): Headers {
  const headers = new Headers()
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] as string
    const value = flat[at + 1] as string
    // Joined by a comma, several Cookie lines would be one wrong cookie (RFC 9113 section 8.2.3).
    const before = name.length === 6 && name.toLowerCase() === "cookie" ? headers.get("cookie") : null
    if (before === null) headers.append(name, value)
    else headers.set("cookie", `${before}; ${value}`)
  }
  return headers
}

/** Each cookie by itself: iterating gives `Set-Cookie` once for each. */
export function flatHeaders(headers: Headers): string[] {
  const flat: string[] = []
  for (const [name, value] of headers) flat.push(name, value)
  return flat
}

/** The address that the visitor asked for. A host that is none reads as `localhost`. */
export function urlOf(head: RequestHead): string {
  const host = headerValue(head.headers, "host") ?? ""
  const scheme = headerValue(head.headers, "x-forwarded-proto") === "https" ? "https" : "http"
  const path = head.target === "*" ? "/*" : head.target
  return `${scheme}://${isAuthority(host) ? host : "localhost"}${path}`
}

/** Whether a WebSocket is asked for (RFC 6455 section 4.2.1); whether it is asked for well is another question. */
export function asksForWebSocket(head: RequestHead): boolean {
  return hasToken(head.headers, "connection", "upgrade") && hasToken(head.headers, "upgrade", "websocket")
}
