/**
 * A chat in which everybody has a server of his own: in a tab of his browser, or in Node. A room lives at the server of who
 * made it; others join it by its address (`garden@alice`), and each of their servers keeps a copy.
 */

import { Hono } from "hono"
import type { TabApp, TabEnv, Visitor } from "../../src/tab.ts"
import { visitorOf } from "../../src/tab.ts"
import { openChat } from "./chat.ts"
import type { Chat } from "./chat.ts"
import { federation } from "./federation.ts"
import { ownerPages } from "./owner-pages.ts"
import { publicPages } from "./public-pages.ts"
import { Refusal } from "./refusal.ts"
import { pageScript } from "./views/page-script.ts"
import { refusalPage } from "./views/layout.ts"
import { style } from "./views/style.ts"

export interface ChatRoute {
  readonly Bindings: TabEnv
  readonly Variables: { readonly chat: Chat; readonly visitor: Visitor }
}

/** One for each server. */
export function createChat(): TabApp {
  let chat: Chat | undefined
  const app = new Hono<ChatRoute>()

  app.use(async (c, next) => {
    if (chat === undefined) throw new Refusal(503, "The server is starting")
    c.set("chat", chat)
    c.set("visitor", visitorOf(c.req.raw))
    await next()
    for (const [name, value] of safety) if (!c.res.headers.has(name)) c.res.headers.set(name, value)
  })
  app.onError((error, c) => {
    if (!(error instanceof Refusal)) throw error
    const wantsPage = c.req.header("accept")?.includes("text/html") === true
    c.status(error.status)
    return wantsPage ? c.html(refusalPage(error)) : c.text(error.message)
  })

  app.get("/chat.css", (c) => asset(c.req.raw, "text/css", style))
  app.get("/chat.js", (c) => asset(c.req.raw, "text/javascript", pageScript))
  app.get("/favicon.ico", (c) => c.body(null, 204))
  app.route("/federation", federation())
  app.route("/", publicPages())
  app.route("/", ownerPages())
  app.all("*", () => {
    throw new Refusal(404, "There is nothing here")
  })

  return {
    async start(env) {
      chat = await openChat(env)
    },
    fetch: (request, env) => app.fetch(request, env),
  }
}

function asset(request: Request, type: string, text: string): Response {
  const tag = `"${text.length}-${checksum(text)}"`
  const headers = { "content-type": `${type}; charset=utf-8`, "cache-control": "no-cache", etag: tag }
  const isKnown = request.headers.get("if-none-match") === tag
  return isKnown ? new Response(null, { status: 304, headers }) : new Response(text, { headers })
}

function checksum(text: string): number {
  let sum = 0
  for (let at = 0; at < text.length; at++) sum = (Math.imul(sum, 31) + text.charCodeAt(at)) | 0
  return sum >>> 0
}

/** What others wrote is shown here: nothing but our own script runs, and nobody puts the page into a frame. */
const safety = new Headers({
  "content-security-policy": [
    "default-src 'self'",
    "img-src 'self' blob: data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
})

const chat: TabApp = createChat()
export default chat
