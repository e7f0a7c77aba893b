/**
 * An application under development as a site: the last good build, from memory, with the same rules as a published one has,
 * and an event stream by which its pages hear of the next build or of what is wrong.
 */

import { createHash } from "node:crypto"
import { headerValue, headerValues } from "../../../base/header-fields.ts"
import { escapeHtml } from "../../../base/html.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { RequestHead } from "../../../http1/head.ts"
import { readRequestHead } from "../../../http1/read-head.ts"
import { safetyFor } from "../relay/app-site.ts"
import type { TabPlace } from "../relay/app-site.ts"
import { LocalAnswer } from "../relay/local-answer.ts"
import type { LocalResponse } from "../relay/local-answer.ts"
import { pathOfTarget, typeOf } from "../relay/published-file.ts"
import type { Build } from "./build-folder.ts"
import { EventAnswer } from "./event-answer.ts"

/** As `runtime.json` of its builds names it. */
export const eventsPath = "/.rdv/events"

export class DevSite {
  readonly #fields: readonly string[]
  readonly #pages: Set<EventAnswer> = new Set()
  #build: Build | undefined
  /** One line for each problem of the present sources. */
  #trouble: readonly string[] = []

  /** `place`: what pages may talk to. */
  constructor(place: Pick<TabPlace, "relay">) {
    this.#fields = safetyFor(place)
  }

  show(build: Build): void {
    this.#build = build
    this.#trouble = []
    this.#tell()
  }

  /** The last good build stays. */
  fail(trouble: readonly string[]): void {
    this.#trouble = trouble
    this.#tell()
  }

  /** For each request, with the head of an exchange. */
  open(header: JsonObject): Stream {
    const head = readRequestHead(header)
    const path = pathOfTarget(head.target)
    if (`/${path}` === eventsPath && head.method === "GET") return this.#events(header)
    const response = this.#respond(head, path ?? "")
    const isEmpty = head.method === "HEAD" || response.body === undefined
    return new LocalAnswer("tab/dev", header, isEmpty ? { ...response, body: undefined } : response)
  }

  close(): void {
    for (const page of this.#pages) page.close()
  }

  #events(header: JsonObject): Stream {
    return new EventAnswer({
      header,
      fields: this.#fields,
      onOpen: (page) => {
        this.#pages.add(page)
        page.send(this.#news())
      },
      onOver: (page) => this.#pages.delete(page),
    })
  }

  #tell(): void {
    for (const page of this.#pages) page.send(this.#news())
  }

  #news(): string {
    return JSON.stringify({ version: this.#build?.version ?? null, trouble: this.#trouble })
  }

  #respond(head: RequestHead, path: string): LocalResponse {
    const build = this.#build
    if (build === undefined) return this.#noBuild()
    const wantsPage =
      !path.startsWith(".") && headerValues(head.headers, "accept").some((value) => value.includes("text/html"))
    const name = path === "" ? "index.html" : path
    const found = build.files.get(name)
    const [file, bytes] =
      found === undefined && wantsPage ? ["index.html", build.files.get("index.html")] : [name, found]
    if (bytes === undefined)
      return this.#whole(404, "Not Found", "text/plain; charset=utf-8", "There is no such file.\n")
    const tag = `"${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}"`
    const common = ["ETag", tag, "Cache-Control", "no-cache", ...this.#fields]
    if (headerValue(head.headers, "if-none-match") === tag) {
      return { status: 304, reason: "Not Modified", headers: common, body: undefined }
    }
    const about = ["Content-Type", typeOf(file), "Content-Length", String(bytes.length)]
    return { status: 200, reason: "OK", headers: [...about, ...common], body: bytes }
  }

  /** Until the first build is there the page looks again by itself. */
  #noBuild(): LocalResponse {
    const lines = this.#trouble.length === 0 ? ["It is being built…"] : this.#trouble
    const html = `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="1"><title>No build yet</title><pre>${escapeHtml(lines.join("\n"))}</pre>\n`
    return this.#whole(503, "Service Unavailable", "text/html; charset=utf-8", html)
  }

  #whole(status: number, reason: string, type: string, text: string): LocalResponse {
    const body = utf8Encode(text)
    const headers = ["Content-Type", type, "Content-Length", String(body.length), "Cache-Control", "no-store"]
    return { status, reason, headers: [...headers, ...this.#fields], body }
  }
}
