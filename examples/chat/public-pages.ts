/** What everybody sees at the public address: who this is, and the rooms that are open, to read. */

import { Hono } from "hono"
import type { ChatRoute } from "./app.ts"
import { Refusal } from "./refusal.ts"
import { findFile, findOwn, membersOf, messagesOf, openRooms } from "./rooms.ts"
import type { Room } from "./rooms.ts"
import { sendFile } from "./send-file.ts"
import { openRoomPage, profilePage } from "./views/public-view.ts"

export function publicPages(): Hono<ChatRoute> {
  const app = new Hono<ChatRoute>()

  app.get("/", async (c, next) => {
    // The owner's own first page is another one.
    if (c.var.visitor.kind === "own") return next()
    return c.html(await profile(c.env))
  })
  app.get("/public", async (c) => c.html(await profile(c.env)))
  app.get("/r/:slug", async (c) => {
    const { sql, blobs } = c.env
    const room = await findOpen(sql, c.req.param("slug"))
    const stamp = c.var.chat.stamp(room.id)
    const messages = await messagesOf(sql, room.id, pageLength, Number(c.req.query("before")) || undefined)
    const missing = new Set<string>()
    for (const { file } of messages)
      if (file !== null && (await blobs.stat(file.id)) === undefined) missing.add(file.id)
    const members = await membersOf(sql, room.id)
    const { key, name } = c.env.identity
    const isWhole = messages.length < pageLength
    return c.html(openRoomPage({ room, members, messages, missing, isWhole, stamp, ownKey: key }, name))
  })
  app.get("/r/:slug/events", async (c) => {
    const room = await findOpen(c.env.sql, c.req.param("slug"))
    const { chat } = c.var
    return (
      chat.live.subscribe({ room: room.id, isPublic: true }, chat.stamp(room.id)) ??
      c.text("Too many pages look on", 503)
    )
  })
  app.get("/r/:slug/files/:file", async (c) => {
    const room = await findOpen(c.env.sql, c.req.param("slug"))
    const file = await findFile(c.env.sql, room.id, c.req.param("file"))
    if (file === undefined) throw new Refusal(404, "There is no such file")
    return sendFile(c.env.blobs, file, c.req.raw)
  })
  return app
}

async function profile({ sql, identity }: ChatRoute["Bindings"]): Promise<string> {
  const row = await sql.get<{ nick: string; about: string }>("SELECT nick, about FROM profile")
  const rooms = await openRooms(sql)
  return String(await profilePage({ nick: row?.nick ?? "Somebody", about: row?.about ?? "", rooms, identity }))
}

async function findOpen(sql: ChatRoute["Bindings"]["sql"], slug: string): Promise<Room> {
  const room = await findOwn(sql, slug)
  if (!room.isOpen) throw new Refusal(404, "There is no such room")
  return room
}

const pageLength = 80
