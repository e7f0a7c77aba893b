/** Makes the bytes of a request once, before the run. Nothing that is written here can end a line early. */

import { RdvError } from "../../../base/error.ts"
import { allOf, isText, isToken, targetByte } from "../../../http1/grammar.ts"
import type { HttpPlan, Target } from "../scenario/scenario.ts"
import { hostAndPort } from "./dialer.ts"

export interface HttpRequestOptions {
  /** The connection serves this request only: says so to the server. */
  readonly close?: boolean
  /** Of this program, for `User-Agent`. */
  readonly version?: string
}

/** Fields that say where the request ends, or what follows it: they come from the plan's body alone. */
const refused: Readonly<Record<string, string>> = {
  "content-length": "it is set from the body",
  "transfer-encoding": "the body is sent with its length",
  upgrade: "the load tester cannot speak another protocol on the connection; use ws:// for WebSockets",
}

/** A whole request. Throws `usage` when a part of it would not stay in its place. */
export function buildHttpRequest(target: Target, plan: HttpPlan, options: HttpRequestOptions = {}): Uint8Array {
  const { method, headers } = plan
  if (!isToken(method)) throw new RdvError("usage", `${JSON.stringify(method)} is not a method of HTTP`)
  if (method === "CONNECT") throw new RdvError("usage", "CONNECT opens a tunnel, which the load tester does not follow")
  const given = new Set<string>()
  const lines: string[] = []
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    const why = refused[lower]
    if (!isToken(name)) throw new RdvError("usage", `${JSON.stringify(name)} is not the name of a header`)
    if (why !== undefined) throw new RdvError("usage", `The header ${name} cannot be given: ${why}`)
    if (!isText(value)) {
      const mend = "give visible characters of Latin-1, on one line"
      throw new RdvError("usage", `The header ${name} has characters that no header may have`, { mend })
    }
    if (lower === "host" && given.has(lower)) throw new RdvError("usage", "The header Host is given twice")
    given.add(lower)
    lines.push(`${name}: ${value.trim()}`)
  }
  const body = plan.bodyBase64 === undefined ? undefined : Buffer.from(plan.bodyBase64, "base64")
  const first = [`${method} ${requestTarget(target, method)} HTTP/1.1`]
  if (!given.has("host")) first.push(`Host: ${hostField(target)}`)
  if (!given.has("user-agent")) first.push(`User-Agent: ${agent(options.version)}`)
  if (body !== undefined || /^(POST|PUT|PATCH)$/.test(method)) lines.push(`Content-Length: ${body?.length ?? 0}`)
  if (options.close === true && !given.has("connection")) lines.push("Connection: close")
  const head = Buffer.from(`${[...first, ...lines].join("\r\n")}\r\n\r\n`, "latin1")
  return body === undefined ? head : Buffer.concat([head, body])
}

/**
 * A request as a text has it: `METHOD path`, headers, an empty line, the body. Without a path it is the target's. Throws
 * `usage`.
 */
export function parseWrittenRequest(text: string): { readonly path: string; readonly plan: HttpPlan } {
  const gap = text.indexOf("\n\n")
  const [first = "", ...lines] = (gap < 0 ? text : text.slice(0, gap)).split("\n")
  const space = first.indexOf(" ")
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":")
    return [line.slice(0, Math.max(0, colon)), line.slice(colon + 1).trim()]
  })
  const method = space < 0 ? first : first.slice(0, space)
  const body = gap < 0 ? {} : { bodyBase64: Buffer.from(text.slice(gap + 2)).toString("base64") }
  return { path: space < 0 ? "" : first.slice(space + 1), plan: { kind: "http", method, headers, ...body } }
}

/** The name and, unless it is the usual one, the port. Throws `usage`. */
export function hostField({ host, port, protocol }: Target): string {
  const usual = protocol === "https" || protocol === "wss" ? 443 : 80
  const field = hostAndPort(host, port).slice(0, port === usual ? -`:${port}`.length : undefined)
  if (!/^[\w.~%:[\]-]+$/.test(field)) throw new RdvError("usage", `${JSON.stringify(host)} is not a host`)
  return field
}

/** Path and query as the request line has them. Throws `usage`. */
export function requestTarget({ path }: Target, method: string = "GET"): string {
  if (path === "*" && method === "OPTIONS") return path
  // What people type; a browser would do the same.
  const text = path.replace(/[^\x00-\x7f]+/g, (part) => encodeURIComponent(part.toWellFormed()))
  const whole = text.startsWith("/") ? text : `/${text}`
  if (!allOf(whole, targetByte)) {
    const mend = "write such characters in percent-encoding: %20 for a space"
    throw new RdvError("usage", `The path ${JSON.stringify(path)} has characters that no path may have`, { mend })
  }
  return whole
}

function agent(version: string | undefined): string {
  return version === undefined ? "rdv-load" : `rdv-load/${version}`
}
