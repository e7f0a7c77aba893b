/** The owner's side: everything here is for a page of the own browser alone. */

import { Hono } from "hono"
import type { Context } from "hono"
import type { Sql } from "../../src/tab.ts"
import type { ChatRoute } from "./app.ts"
import { catchUp, join } from "./copy.ts"
import { spread } from "./home.ts"
import { largestFile, longestNick, longestText, sealMessage, textOf } from "./message.ts"
import type { ChatFile } from "./message.ts"
import { addToOutbox } from "./outbox.ts"
import { Refusal } from "./refusal.ts"
import type { Room } from "./rooms.ts"
import {
  findFile,
  findRoom,
  freeSlug,
  keepMessage,
  listRooms,
  membersOf,
  messagesOf,
  readAddress,
  takeNumber,
} from "./rooms.ts"
import { sendFile } from "./send-file.ts"
import { randomText } from "./text-bytes.ts"
import { readForm } from "./read-form.ts"
import { settingsPage, startPage, welcomePage } from "./views/start-page.ts"
import type { Frame } from "./views/layout.ts"
import { roomPage } from "./views/room-view.ts"
import { statusView } from "./views/status-view.ts"

export function ownerPages(): Hono<ChatRoute> {
  const app = new Hono<ChatRoute>()

  app.use(async (c, next) => {
    if (c.var.visitor.kind !== "own") throw new Refusal(404, "There is nothing here")
    // A page of another site may send a form here, but not in the owner's name.
    const origin = c.req.header("origin")
    if (c.req.method !== "GET" && origin !== undefined && hostOf(origin) !== new URL(c.req.url).host) {
      throw new Refusal(403, "A form of another site was not taken")
    }
    c.var.chat.wake()
    await next()
  })

  app.get("/", async (c) => {
    const frame = await frameOf(c)
    return c.html(frame.nick === undefined ? welcomePage(frame) : startPage(frame))
  })
  app.get("/settings", async (c) => {
    const row = await c.env.sql.get<{ about: string }>("SELECT about FROM profile")
    const pins = await c.env.sql.all<{ name: string; key: string }>(
      "SELECT name, key FROM pins ORDER BY name LIMIT 200",
    )
    return c.html(settingsPage(await frameOf(c), row?.about ?? "", pins))
  })
  app.post("/settings", async (c) => {
    const form = await readForm(c.req.raw)
    const nick = textOf(form.get("nick"), longestNick).trim()
    if (nick === "") throw new Refusal(400, "Others want to call you something")
    const about = textOf(form.get("about") ?? "", 500)
    const { sql, identity } = c.env
    await sql.run("INSERT OR REPLACE INTO profile (one, nick, about) VALUES (1, ?, ?)", nick, about)
    await sql.run("UPDATE members SET nick = ? WHERE key = ?", nick, identity.key)
    return c.redirect("/", 303)
  })
  app.post("/pins/:name/forget", async (c) => {
    await c.env.sql.run("DELETE FROM pins WHERE name = ?", c.req.param("name"))
    return c.redirect("/settings", 303)
  })

  app.get("/status", async (c) =>
    c.html(statusView(c.env.identity, c.env.peers.list(), await c.var.chat.outbox.waiting())),
  )
  app.post("/status", (c) => {
    // The page knows that something has changed: who is public, for one.
    c.var.chat.wake()
    return c.body(null, 204)
  })
  app.get("/events", (c) => {
    const room = c.req.query("room")
    const { chat } = c.var
    const filter = { room: room === undefined ? undefined : Number(room), isPublic: false }
    return chat.live.subscribe(filter, chat.stamp(Number(room))) ?? c.text("Too many pages look on", 503)
  })

  app.post("/rooms", async (c) => {
    const form = await readForm(c.req.raw)
    const title = textOf(form.get("title"), 80).trim()
    if (title === "") throw new Refusal(400, "A room has a title")
    const topic = textOf(form.get("topic") ?? "", 300).trim()
    const { sql, identity } = c.env
    const slug = await freeSlug(sql, title)
    const nick = await nickOf(sql)
    const id = await sql.transaction((within) => {
      const text = "INSERT INTO rooms (home_key, slug, title, topic, is_open) VALUES (?, ?, ?, ?, ?)"
      const { lastId } = within.run(text, identity.key, slug, title, topic, form.get("open") === null ? 0 : 1)
      within.run("INSERT INTO members (room, key, name, nick) VALUES (?, ?, '', ?)", lastId, identity.key, nick)
      return lastId
    })
    c.var.chat.roomChanged(id, false)
    return c.redirect(`/rooms/${id}`, 303)
  })
  app.post("/join", async (c) => {
    const form = await readForm(c.req.raw)
    const address = readAddress(textOf(form.get("address"), 120))
    return c.redirect(`/rooms/${await joined(c, address)}`, 303)
  })

  app.get("/rooms/:id{[0-9]+}", async (c) => {
    const { sql, blobs, identity } = c.env
    const room = await findRoom(sql, Number(c.req.param("id")))
    const before = c.req.query("before")
    const stamp = c.var.chat.stamp(room.id)
    const messages = await messagesOf(sql, room.id, pageLength, before === undefined ? undefined : Number(before))
    const missing = new Set<string>()
    for (const { file } of messages)
      if (file !== null && (await blobs.stat(file.id)) === undefined) missing.add(file.id)
    await sql.run(
      "UPDATE rooms SET seen = (SELECT coalesce(max(position), 0) FROM messages WHERE room = ?) WHERE id = ?",
      room.id,
      room.id,
    )
    // Whoever reads wants to know what its home has: sooner than the home gets to telling.
    c.var.chat.behind(() => catchUp(c.var.chat, room.id, true))
    const members = await membersOf(sql, room.id)
    const isWhole = messages.length < pageLength
    const frame = await frameOf(c, room.id)
    return c.html(roomPage(frame, { room, members, messages, missing, isWhole, stamp, ownKey: identity.key }))
  })
  app.post("/rooms/:id{[0-9]+}/seen", async (c) => {
    const id = Number(c.req.param("id"))
    await c.env.sql.run(
      "UPDATE rooms SET seen = (SELECT coalesce(max(position), 0) FROM messages WHERE room = ?) WHERE id = ?",
      id,
      id,
    )
    c.var.chat.roomChanged(id, false)
    return c.body(null, 204)
  })
  app.post("/rooms/:id{[0-9]+}/messages", async (c) => {
    const room = await findRoom(c.env.sql, Number(c.req.param("id")))
    const form = await readForm(c.req.raw, largestFile + 65_536)
    const text = textOf(form.get("text") ?? "", longestText).trim()
    const given = form.get("file")
    const upload = given instanceof File && given.size > 0 ? given : undefined
    const file = upload && (await storeFile(c, upload.name, upload.type, upload.stream()))
    if (text === "" && file === undefined) throw new Refusal(400, "Write something, or choose a file")
    await post(c, room, text, file ?? null)
    return c.redirect(`/rooms/${room.id}`, 303)
  })
  app.put("/rooms/:id{[0-9]+}/files", async (c) => {
    const room = await findRoom(c.env.sql, Number(c.req.param("id")))
    const { body } = c.req.raw
    if (body === null) throw new Refusal(400, "The file is empty")
    const name = c.req.query("name") ?? "file"
    await post(c, room, "", await storeFile(c, name, c.req.header("content-type") ?? "", body))
    return c.body(null, 201)
  })
  app.get("/rooms/:id{[0-9]+}/files/:file", async (c) => {
    const file = await findFile(c.env.sql, Number(c.req.param("id")), c.req.param("file"))
    if (file === undefined) throw new Refusal(404, "There is no such file")
    return sendFile(c.env.blobs, file, c.req.raw)
  })
  app.post("/rooms/:id{[0-9]+}/guests", async (c) => {
    const { sql, identity } = c.env
    const room = await findRoom(sql, Number(c.req.param("id")))
    if (room.homeName !== null) throw new Refusal(403, `Only at ${room.homeName} people are invited`)
    const { name } = readAddress(`${room.slug}@${textOf((await readForm(c.req.raw)).get("name"), 63).trim()}`)
    if (name === identity.name) throw new Refusal(400, "That is you")
    const body = JSON.stringify({ slug: room.slug, title: room.title })
    await sql.transaction((within) => {
      within.run("INSERT OR IGNORE INTO guests (room, name) VALUES (?, ?)", room.id, name)
      addToOutbox(within, { peer: name, lane: "tell", path: "/invitations", body, key: randomText() })
    })
    c.var.chat.wake()
    return c.redirect(`/rooms/${room.id}`, 303)
  })
  app.post("/rooms/:id{[0-9]+}/leave", async (c) => {
    const { sql } = c.env
    const room = await findRoom(sql, Number(c.req.param("id")))
    await sql.transaction((within) => {
      const path = `/rooms/${room.slug}/leave`
      if (room.homeName !== null)
        addToOutbox(within, { peer: room.homeName, lane: "tell", path, body: "{}", key: randomText() })
      within.run("DELETE FROM rooms WHERE id = ?", room.id)
    })
    c.var.chat.wake()
    return c.redirect("/", 303)
  })
  return app
}

const pageLength = 80

async function frameOf(c: Context<ChatRoute>, current?: number): Promise<Frame> {
  const { sql, identity, peers } = c.env
  const profile = await sql.get<{ nick: string }>("SELECT nick FROM profile")
  const text = "SELECT home_name AS name, slug, title FROM invitations ORDER BY home_name, slug"
  return {
    nick: profile?.nick,
    current,
    rooms: await listRooms(sql),
    invitations: await sql.all<{ name: string; slug: string; title: string }>(text),
    status: statusView(identity, peers.list(), await c.var.chat.outbox.waiting()),
    key: identity.key,
  }
}

async function nickOf(sql: Sql): Promise<string> {
  return (await sql.get<{ nick: string }>("SELECT nick FROM profile"))?.nick ?? "Nobody"
}

async function joined(c: Context<ChatRoute>, address: { slug: string; name: string }): Promise<number> {
  try {
    return (await join(c.var.chat, address, await nickOf(c.env.sql))).id
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(502, `${address.name} says: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function storeFile(
  c: Context<ChatRoute>,
  name: string,
  type: string,
  content: ReadableStream<Uint8Array>,
): Promise<ChatFile> {
  const plainType = (/^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0] ?? "application/octet-stream").slice(0, 100)
  try {
    const { id, bytes } = await c.env.blobs.put(content, { type: plainType, limitBytes: largestFile })
    return { id, bytes, type: plainType, name: name.slice(-200) }
  } catch (error) {
    if ((error as { code?: unknown }).code !== "too_large") throw error
    throw new Refusal(413, `A file has at most ${largestFile / 1024 / 1024} MiB`)
  }
}

/** Into the room if it is ours, else to its home, sooner or later. */
async function post(c: Context<ChatRoute>, room: Room, text: string, file: ChatFile | null): Promise<void> {
  const { sql, identity } = c.env
  const message = await sealMessage(identity, room, { nick: await nickOf(sql), text, file })
  await sql.transaction((within) => {
    if (room.homeName !== null) {
      keepMessage(within, room.id, message, null)
      const path = `/rooms/${room.slug}/messages`
      const body = JSON.stringify(message)
      addToOutbox(within, { peer: room.homeName, lane: "tell", path, body, key: message.id })
    } else {
      const number = takeNumber(within, room.id)
      keepMessage(within, room.id, message, number)
      spread(within, { ...room, last: number }, { messages: [{ ...message, number }] }, identity.key)
    }
    within.run(
      "UPDATE rooms SET seen = (SELECT max(position) FROM messages WHERE room = ?) WHERE id = ?",
      room.id,
      room.id,
    )
  })
  c.var.chat.messageChanged(room.id, message.id)
  c.var.chat.outbox.wake()
}

function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).host : ""
}
