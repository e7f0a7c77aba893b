/**
 * Pages that the relay serves itself, on its own host names: whole answers from memory, for GET and HEAD. Whoever offers a
 * page says what it may load; everything else about safety is decided here, the same for all of them.
 */

import { gzipSync } from "node:zlib"
import { hasToken, headerValue, headerValues, listWords } from "../base/header-fields.ts"
import type { RequestHead } from "../http1/head.ts"
import { responseHeadBytes } from "../http1/write-head.ts"

export interface OwnPage {
  /** With the character set for text: `text/html; charset=utf-8`. */
  readonly type: string
  readonly bytes: Uint8Array
  /** Its path changes with its bytes, so that browsers keep it for good; else they keep nothing. */
  readonly forever: boolean
  /** Default: what it needs may come from the same place, and from nowhere else. */
  readonly policy?: string
}

/** `rest` is what the path has behind the one that was served. Undefined: there is no such page. */
export type OwnPageHandler = (rest: string) => OwnPage | undefined

export class OwnPages {
  readonly #handlers: Map<string, OwnPageHandler> = new Map()
  readonly #packed: WeakMap<OwnPage, Uint8Array> = new WeakMap()
  readonly #suffix: string

  /** Names below the domain are the routes' own, also while nobody serves them. */
  constructor(domain: string) {
    this.#suffix = `.${domain}`
  }

  /** Serves one path; with a `/` at its end everything below it. The longest one that fits decides. */
  serve(path: string, handler: OwnPageHandler): void {
    this.#handlers.set(path, handler)
  }

  /** The whole answer to a request; undefined when it is for none of these pages. */
  answer(head: RequestHead, keep: boolean): Uint8Array | undefined {
    if (this.#handlers.size === 0 || this.#isRoutes(headerValue(head.headers, "host") ?? "")) return undefined
    const query = head.target.indexOf("?")
    const page = this.#find(query < 0 ? head.target : head.target.slice(0, query))
    if (page === undefined) return undefined
    const connection = keep ? [] : ["Connection", "close"]
    if (head.method !== "GET" && head.method !== "HEAD") {
      const headers = ["Allow", "GET, HEAD", "Content-Length", "0", "Date", new Date().toUTCString(), ...connection]
      return responseHeadBytes({ status: 405, reason: "Method Not Allowed", minor: 1, headers })
    }
    const packs = mayPack(head) && page.bytes.length >= leastPacked
    const body = packs ? this.#pack(page) : page.bytes
    const headers = ["Content-Type", page.type, "Content-Length", String(body.length), "Date", new Date().toUTCString()]
    headers.push("Vary", "Accept-Encoding", "Cache-Control", page.forever ? keptForever : "no-store")
    headers.push("Content-Security-Policy", page.policy ?? ownPolicy, ...safety, ...connection)
    if (packs) headers.push("Content-Encoding", "gzip")
    const bytes = responseHeadBytes({ status: 200, reason: "OK", minor: 1, headers })
    return head.method === "HEAD" ? bytes : Buffer.concat([bytes, body])
  }

  #isRoutes(host: string): boolean {
    const name = host.replace(/:\d*$/, "").toLowerCase()
    return name.endsWith(this.#suffix)
  }

  #find(path: string): OwnPage | undefined {
    const exact = this.#handlers.get(path)
    if (exact !== undefined) return exact("")
    for (let slash = path.lastIndexOf("/"); slash >= 0; slash = slash === 0 ? -1 : path.lastIndexOf("/", slash - 1)) {
      const handler = this.#handlers.get(path.slice(0, slash + 1))
      if (handler !== undefined) return handler(path.slice(slash + 1))
    }
    return undefined
  }

  #pack(page: OwnPage): Uint8Array {
    const kept = this.#packed.get(page)
    if (kept !== undefined) return kept
    const packed = gzipSync(page.bytes, { level: 9 })
    this.#packed.set(page, packed)
    return packed
  }
}

const keptForever = "public, max-age=31536000, immutable"

/** Below this a packed answer saves no packet. */
const leastPacked = 1_024

/** `gzip;q=0` is not asked for, and whoever sends weights at all gets the plain bytes. */
function mayPack(head: RequestHead): boolean {
  if (hasToken(head.headers, "accept-encoding", "gzip")) return true
  return headerValues(head.headers, "accept-encoding").some((value) => listWords(value).includes("*"))
}

const ownPolicy =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** No other site may frame, open or read these pages, none learns where visitors came from, and devices stay closed. */
const safety: readonly string[] = Object.entries({
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}).flat()
