/**
 * Where a body ends (RFC 9112 section 6.3). Two readers that disagree here are a smuggled request, so every head that
 * gives two answers, or one that needs interpretation, is refused.
 */

import { hasToken, isName } from "../base/header-fields.ts"
import { badRequest, badResponse, quote } from "./http-error.ts"
import { isToken } from "./grammar.ts"
import type { Fail } from "./http-error.ts"
import type { RequestHead, ResponseHead } from "./head.ts"

export type RequestFraming =
  | { readonly kind: "none" }
  /** `length` is in bytes; 0 was said explicitly. */
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }

export type ResponseFraming =
  | RequestFraming
  /** The body ends with the connection. */
  | { readonly kind: "close" }
  /** What follows the head is not HTTP any more: after 101, and after 2xx to CONNECT. */
  | { readonly kind: "tunnel" }

const none: RequestFraming = { kind: "none" }
const chunked: RequestFraming = { kind: "chunked" }

/** Throws `HttpError` 400 or 501. */
export function requestFraming(head: RequestHead): RequestFraming {
  return framing(head, badRequest) ?? none
}

/** How the answer to a request with this method is framed. Throws `bad_response`. */
export function responseFraming(requestMethod: string, head: ResponseHead): ResponseFraming {
  const { status } = head
  if (status === 101) return { kind: "tunnel" }
  if (requestMethod === "HEAD" || status < 200 || status === 204 || status === 304) return none
  if (requestMethod === "CONNECT" && status < 300) return { kind: "tunnel" }
  return framing(head, badResponse) ?? { kind: "close" }
}

/** Whether the sender of this head keeps the connection open after the message (RFC 9112 section 9.3). */
export function persists(head: RequestHead | ResponseHead): boolean {
  if (head.minor === 1) return !hasToken(head.headers, "connection", "close")
  return hasToken(head.headers, "connection", "keep-alive") && !hasToken(head.headers, "connection", "close")
}

/** Undefined when neither field is there. */
function framing(head: RequestHead | ResponseHead, fail: Fail): RequestFraming | undefined {
  const { headers } = head
  let length: string | undefined
  let coding: string | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    if (name.length === 14 && isName(name, "content-length")) {
      // Equal ones might be merged (RFC 9110 section 8.6); nobody honest sends them.
      if (length !== undefined) throw fail(400, "more than one Content-Length field")
      length = headers[at + 1] as string
    } else if (name.length === 17 && isName(name, "transfer-encoding")) {
      if (coding !== undefined) throw fail(400, "more than one Transfer-Encoding field")
      coding = headers[at + 1] as string
    }
  }
  if (coding !== undefined) {
    if (length !== undefined) throw fail(400, "both Content-Length and Transfer-Encoding")
    if (head.minor === 0) throw fail(400, "Transfer-Encoding in HTTP/1.0")
    if (coding !== "chunked") refuseOtherThanChunked(coding, fail)
    return chunked
  }
  return length === undefined ? undefined : { kind: "length", length: contentLength(length, fail) }
}

/** Digits only, without the leading zeros that some readers take for octal, and exact as a number. */
function contentLength(text: string, fail: Fail): number {
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) throw fail(400, `Content-Length is not a plain number: ${quote(text)}`)
    length = length * 10 + digit
  }
  if (text === "" || (text.length > 1 && text.charCodeAt(0) === 48)) {
    throw fail(400, `Content-Length is not a plain number: ${quote(text)}`)
  }
  if (length > Number.MAX_SAFE_INTEGER) throw fail(400, `Content-Length is too large: ${quote(text)}`)
  return length
}

/** Returns when the value is `chunked` in another spelling. */
function refuseOtherThanChunked(value: string, fail: Fail): void {
  const lower = value.toLowerCase()
  if (lower === "chunked") return
  const codings = lower.split(",").map((coding) => coding.replace(/^ +| +$/g, ""))
  if (codings.every(isToken)) {
    const at = codings.indexOf("chunked")
    const last = codings.length - 1
    if (at < 0 ? codings.some(isKnown) : at > 0 && at === last) {
      throw fail(501, `no transfer coding but chunked is understood: ${quote(value)}`)
    }
  }
  throw fail(400, `Transfer-Encoding is not chunked: ${quote(value)}`)
}

/** The codings of RFC 9112 section 7.2: somebody may mean them. Any other word is a disguise. */
function isKnown(coding: string): boolean {
  return /^(x-)?(gzip|compress)$|^deflate$/.test(coding)
}
