/**
 * Reads the heads of requests from a visitor's connection, one after the other. What two readers could understand
 * differently is refused here, so that nothing behind the ingress ever sees it (RFC 9112 section 11.2): a refused request
 * costs its sender the connection.
 */

import { isAuthority, isToken, allOf, targetByte } from "./grammar.ts"
import { FieldBlock } from "./field-block.ts"
import { requestFraming } from "./framing.ts"
import { isName } from "../base/header-fields.ts"
import { badRequest, quote } from "./http-error.ts"
import type { RequestFraming } from "./framing.ts"
import type { RequestHead } from "./head.ts"

export interface ReadRequest {
  readonly head: RequestHead
  readonly framing: RequestFraming
  /** The offset in the chunk where the body, or the next request, starts. */
  readonly used: number
}

export interface RequestReaderOptions {
  /** The longest request line, bytes; beyond it 414. Default 8 KiB (RFC 9112 section 3 asks for 8,000). */
  readonly lineBytes?: number
  /** The most bytes of header fields; beyond it 431. Default 16 KiB. */
  readonly fieldBytes?: number
}

export class RequestReader {
  readonly #block: FieldBlock
  #line: RequestLine | undefined

  constructor(options: RequestReaderOptions = {}) {
    this.#block = new FieldBlock({
      startLineBytes: options.lineBytes ?? 8 * 1024,
      fieldBytes: options.fieldBytes ?? 16 * 1024,
      lenient: false,
      fail: badRequest,
    })
  }

  /** Part of a head has arrived: the connection is not idle. */
  get started(): boolean {
    return this.#block.started
  }

  /**
   * Takes bytes of `chunk` from `from` on; undefined when the head is not complete yet. The chunk is not kept. Throws
   * `HttpError`, as soon as the broken rule is seen; the reader is of no use afterwards.
   */
  push(chunk: Uint8Array, from = 0): ReadRequest | undefined {
    const block = this.#block
    let used: number
    try {
      used = block.push(chunk, from)
    } catch (error) {
      this.#readLine()
      throw error
    }
    // The line is judged when it is there: who speaks no HTTP/1.1 at all may never send the rest of a head.
    const line = this.#readLine()
    if (used < 0 || line === undefined) return undefined
    const headers = block.fields()
    const host = onlyHost(headers, line.minor)
    if (line.authority !== undefined) replaceHost(headers, host, line.authority)
    const head: RequestHead = { method: line.method, target: line.target, minor: line.minor, headers }
    const framing = requestFraming(head)
    block.reset()
    this.#line = undefined
    return { head, framing, used }
  }

  #readLine(): RequestLine | undefined {
    if (this.#line === undefined) {
      const text = this.#block.startLine()
      if (text !== undefined) this.#line = readLine(text)
    }
    return this.#line
  }
}

interface RequestLine {
  readonly method: string
  readonly target: string
  readonly minor: 0 | 1
  /** Of an absolute-form target; it wins over Host. */
  readonly authority: string | undefined
}

/** `method SP target SP HTTP/1.x`, RFC 9112 section 3, to the letter. */
function readLine(line: string): RequestLine {
  const versionAt = line.length - 8
  const digit = line.charCodeAt(line.length - 1) - 48
  if (!line.startsWith(" HTTP/1.", versionAt - 1) || (digit !== 0 && digit !== 1)) throw badVersion(line)
  const methodEnd = line.indexOf(" ")
  const method = line.slice(0, methodEnd)
  if (!isToken(method)) throw badRequest(400, `the request line does not start with a method: ${quote(line)}`)
  if (methodEnd === versionAt - 1) throw badRequest(400, `the request line has no target: ${quote(line)}`)
  if (method === "CONNECT") throw badRequest(501, "CONNECT is not served here")
  const target = line.slice(methodEnd + 1, versionAt - 1)
  if (!allOf(target, targetByte)) throw badTarget(target)
  const first = target.charCodeAt(0)
  if (first === 47 || (first === 42 && target === "*" && method === "OPTIONS")) {
    return { method, target, minor: digit, authority: undefined }
  }
  return { method, minor: digit, ...absoluteForm(method, target) }
}

/** RFC 9112 section 3.2.2; without a path it stands for `/`, or for `*` in OPTIONS (section 3.2.4). */
function absoluteForm(method: string, target: string): { target: string; authority: string } {
  const parts = /^https?:\/\/([^/?]*)(.*)$/i.exec(target)
  const authority = parts?.[1]
  if (authority === undefined) throw badTarget(target)
  if (!isAuthority(authority)) throw badRequest(400, `the target's host is not host or host:port: ${quote(authority)}`)
  const rest = parts?.[2] ?? ""
  if (rest === "") return { target: method === "OPTIONS" ? "*" : "/", authority }
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority }
}

/** The index of the value of Host, -1 without one. Exactly one in HTTP/1.1, at most one before (RFC 9112 section 3.2). */
function onlyHost(headers: readonly string[], minor: 0 | 1): number {
  let found = -1
  for (let at = 0; at < headers.length; at += 2) {
    if (!isName(headers[at] as string, "host")) continue
    if (found >= 0) throw badRequest(400, "more than one Host field")
    found = at + 1
  }
  if (found < 0) {
    if (minor === 1) throw badRequest(400, "the Host field is missing")
  } else if (!isAuthority(headers[found] as string)) {
    throw badRequest(400, `Host is not host or host:port: ${quote(headers[found] as string)}`)
  }
  return found
}

function replaceHost(headers: string[], host: number, authority: string): void {
  if (host < 0) headers.unshift("Host", authority)
  else headers[host] = authority
}

function badVersion(line: string): Error {
  const version = line.slice(line.lastIndexOf(" ") + 1)
  if (/^HTTP\/\d\.\d$/.test(version) && !/1\.[01]$/.test(version)) {
    return badRequest(505, `only HTTP/1.1 and HTTP/1.0 are spoken here, not ${version}`)
  }
  return badRequest(400, `the request line does not end in HTTP/1.1: ${quote(line)}`)
}

function badTarget(target: string): Error {
  return badRequest(400, `a request target that is not allowed: ${quote(target)}`)
}
