/**
 * Published applications as sites of their own: `http(s)://app.NAME.DOMAIN/`. Only what was published is there, and what a
 * page may load and whom it may talk to is said by the relay, not by the page.
 */

import { createHash } from "node:crypto"
import { join } from "node:path"
import { headerValue, headerValues } from "../../../base/header-fields.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import { utf8Encode } from "../../../base/text.ts"
import { readRequestHead } from "../../../http1/read-head.ts"
import type { RequestHead } from "../../../http1/head.ts"
import type { AppFile } from "./app-revision.ts"
import type { PublishedApp } from "./app-shelf.ts"
import { LocalAnswer } from "./local-answer.ts"
import type { LocalResponse } from "./local-answer.ts"
import { isHashedName, pathOfTarget } from "./published-file.ts"

/** Where an application's servers go public, as `/.rdv/tab.json` tells them. */
export type TabPlace = {
  readonly app: string
  /** Where sessions come in: `wss://relay.example`. */
  readonly relay: string
  readonly domain: string
  /** Where STUN is answered: `stun:relay.example:443`. */
  readonly stun?: string
}

/** Answers one exchange on the stream that it returns. `app` is looked at for each request: it may be published anew. */
export function answerFromApp(app: PublishedApp | undefined, place: TabPlace, header: JsonObject): Stream {
  const head = readRequestHead(header)
  const response =
    app === undefined
      ? plain(404, "Not Found", "This application is not published any more.\n")
      : respond(app, place, head)
  const isEmpty = head.method === "HEAD" || response.body === undefined
  return new LocalAnswer("tab/app", header, isEmpty ? { ...response, body: undefined } : response)
}

function respond(app: PublishedApp, place: TabPlace, head: RequestHead): LocalResponse {
  if (head.method !== "GET" && head.method !== "HEAD") {
    return plain(405, "Method Not Allowed", "Here are files; the server of this application runs in your browser.\n", [
      "Allow",
      "GET, HEAD",
    ])
  }
  const path = pathOfTarget(head.target)
  if (path === placePath) return placeResponse(place, head)
  const file = path === undefined ? undefined : find(app, path, head)
  if (file === undefined) return plain(404, "Not Found", "There is no such file in this application.\n")
  return fileResponse(app, file, place, head)
}

/** A page that is asked for by its address is the application's first page: its server answers once it runs. */
function find({ files }: PublishedApp, path: string, head: RequestHead): AppFile | undefined {
  if (path === "" || path.endsWith("/")) return files.get(`${path}index.html`) ?? boot(files, path, head)
  // A page without its ending, as the control page is known.
  return files.get(path) ?? files.get(`${path}.html`) ?? boot(files, path, head)
}

function boot(files: PublishedApp["files"], path: string, { headers }: RequestHead): AppFile | undefined {
  if (path.startsWith(".") || headerValue(headers, "sec-fetch-mode") === "cors") return undefined
  const wantsPage = headerValues(headers, "accept").some((value) => value.includes("text/html"))
  return wantsPage ? files.get("index.html") : undefined
}

function fileResponse(
  { folder }: PublishedApp,
  file: AppFile,
  place: TabPlace,
  { headers }: RequestHead,
): LocalResponse {
  const { sha256, bytes, type, packed, path } = file
  const coding = codingFor(headerValues(headers, "accept-encoding").join(","), packed)
  const [suffix, length] = coding === "br" ? [".br", packed.br] : coding === "gzip" ? [".gz", packed.gzip] : ["", bytes]
  // One for each form: a cache that mixes them up would hand out bytes that nobody can read.
  const tag = `"${sha256.slice(0, 32)}${suffix}"`
  const common = [
    "ETag",
    tag,
    "Vary",
    "Accept-Encoding",
    "Cache-Control",
    isHashedName(path) ? "public, max-age=31536000, immutable" : "no-cache",
    "Date",
    new Date().toUTCString(),
    ...safetyFor(place),
  ]
  if (matches(headers, tag)) return { status: 304, reason: "Not Modified", headers: common, body: undefined }
  const about = ["Content-Type", type, "Content-Length", String(length)]
  if (coding !== undefined) about.push("Content-Encoding", coding)
  return { status: 200, reason: "OK", headers: [...about, ...common], body: join(folder, sha256 + suffix) }
}

function placeResponse(place: TabPlace, { headers }: RequestHead): LocalResponse {
  const body = utf8Encode(JSON.stringify(place))
  const tag = `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`
  const common = ["ETag", tag, "Cache-Control", "no-cache", ...safetyFor(place), "Date", new Date().toUTCString()]
  if (matches(headers, tag)) return { status: 304, reason: "Not Modified", headers: common, body: undefined }
  const about = ["Content-Type", "application/json", "Content-Length", String(body.length)]
  return { status: 200, reason: "OK", headers: [...about, ...common], body }
}

function plain(status: number, reason: string, text: string, more: readonly string[] = []): LocalResponse {
  const body = utf8Encode(text)
  const about = ["Content-Type", "text/plain; charset=utf-8", "Content-Length", String(body.length)]
  const headers = [...about, ...more, "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff"]
  return { status, reason, headers: [...headers, "Date", new Date().toUTCString()], body }
}

/** Weak comparison (RFC 9110 section 13.1.2). */
function matches(headers: readonly string[], tag: string): boolean {
  return headerValues(headers, "if-none-match").some((value) =>
    value.split(",").some((each) => each.trim().replace(/^W\//, "") === tag || each.trim() === "*"),
  )
}

/** The best form that the browser takes and that is there; weights other than 0 make no difference. */
export function codingFor(accepted: string, packed: AppFile["packed"]): "br" | "gzip" | undefined {
  const takes = (name: string): boolean =>
    accepted.split(",").some((each) => {
      const [coding, ...parameters] = each.split(";").map((part) => part.trim().toLowerCase())
      return coding === name && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
    })
  if (packed.br !== undefined && takes("br")) return "br"
  return packed.gzip !== undefined && takes("gzip") ? "gzip" : undefined
}

/**
 * A page of the application talks to its own origin and to the relay, and to nobody else; nothing may frame it, and no
 * script runs that was not published. WebAssembly is compiled, text is not.
 */
export function safetyFor({ relay }: Pick<TabPlace, "relay">): string[] {
  const policy = [
    "default-src 'self'",
    `connect-src 'self' ${relay}`,
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ")
  return ["Content-Security-Policy", policy, ...safety]
}

const safety: readonly string[] = Object.entries({
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
}).flat()

const placePath = ".rdv/tab.json"
