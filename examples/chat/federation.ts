/** What other servers ask of this one. Who they are is the relay's word (`visitorOf`), never theirs. */

import { Hono } from "hono"
import type { Context } from "hono"
import type { PeerCaller } from "../../src/tab.ts"
import type { ChatRoute } from "./app.ts"
import { takeNews } from "./copy.ts"
import { accept, admit, catchUpAnswer, checkMember, dismiss } from "./home.ts"
import { fieldsOf, textOf } from "./message.ts"
import { checkPin, signedAnswer } from "./peer-calls.ts"
import { Refusal } from "./refusal.ts"
import { findFile, findOwn } from "./rooms.ts"
import { sendFile } from "./send-file.ts"

export function federation(): Hono<ChatRoute> {
  const app = new Hono<ChatRoute>()

  app.use(async (c, next) => {
    const caller = callerOf(c)
    await checkPin(c.env.sql, caller.name, caller.key)
    // He is there: what waits for him can go.
    c.var.chat.outbox.wake(caller.name)
    await next()
  })
  // What is wrong is signed as well: only the server itself can say no.
  app.onError((error, c) => {
    const [status, text] = error instanceof Refusal ? [error.status, error.message] : ([503, "Not now"] as const)
    if (!(error instanceof Refusal)) c.env.log.error("a peer's request failed", { reason: error.message })
    return signedAnswer(c.env, nonceOf(c), new Response(text, { status }))
  })

  app.get("/hello", (c) => answer(c, {}))
  app.post("/rooms/:slug/members", async (c) => {
    const { nick } = fieldsOf(await c.req.raw.json())
    const room = await findOwn(c.env.sql, c.req.param("slug"))
    return answer(c, await admit(c.var.chat, c.env.sql, room, callerOf(c), nick))
  })
  app.post("/rooms/:slug/leave", async (c) => {
    await dismiss(c.var.chat, c.env.sql, await findOwn(c.env.sql, c.req.param("slug")), callerOf(c).key)
    return answer(c, {})
  })
  app.post("/rooms/:slug/messages", async (c) => {
    const room = await findOwn(c.env.sql, c.req.param("slug"))
    return answer(c, { number: await accept(c.var.chat, c.env.sql, room, callerOf(c), await c.req.raw.json()) })
  })
  app.get("/rooms/:slug/messages", async (c) => {
    const room = await findOwn(c.env.sql, c.req.param("slug"))
    await checkMember(c.env.sql, room, callerOf(c))
    return answer(c, await catchUpAnswer(c.var.chat, c.env.sql, room, Number(c.req.query("after")) || 0))
  })
  app.post("/news", async (c) => {
    await takeNews(c.var.chat, c.env.sql, callerOf(c), await c.req.raw.json())
    return answer(c, {})
  })
  app.post("/invitations", async (c) => {
    const { slug, title } = fieldsOf(await c.req.raw.json())
    const { sql } = c.env
    const many = await sql.get<{ count: number }>("SELECT count(*) AS count FROM invitations")
    if ((many?.count ?? 0) >= mostInvitations) throw new Refusal(429, "Too many invitations wait here")
    const text = "INSERT OR REPLACE INTO invitations (home_name, slug, title) VALUES (?, ?, ?)"
    await sql.run(text, callerOf(c).name, textOf(slug, 48), textOf(title, 80))
    c.var.chat.roomChanged(0, false)
    return answer(c, {})
  })
  // Unsigned: its id is the hash of its bytes.
  app.get("/rooms/:slug/files/:id", async (c) => {
    const caller = callerOf(c)
    const { slug, id } = c.req.param()
    const { sql } = c.env
    // Its members ask the home, and the home asks the author.
    const text = `SELECT rooms.id FROM rooms JOIN members ON members.room = rooms.id WHERE slug = ?
      AND ((home_name IS NULL AND members.key = ?) OR home_key = ?) LIMIT 1`
    const room = await sql.get<{ id: number }>(text, slug, caller.key, caller.key)
    const file = room === undefined ? undefined : await findFile(sql, room.id, id)
    if (file === undefined) throw new Refusal(403, `${caller.name} may not read this file`)
    return sendFile(c.env.blobs, file, c.req.raw)
  })
  app.all("*", () => {
    throw new Refusal(404, "There is nothing")
  })
  return app
}

function callerOf(c: Context<ChatRoute>): PeerCaller {
  const { visitor } = c.var
  if (visitor.kind !== "peer") throw new Refusal(403, "Only other servers come here")
  return visitor.peer
}

function answer(c: Context<ChatRoute>, json: unknown): Promise<Response> {
  return signedAnswer(c.env, nonceOf(c), Response.json(json))
}

function nonceOf(c: Context<ChatRoute>): string {
  return (c.req.header("chat-nonce") ?? "").slice(0, 64)
}

const mostInvitations = 50
