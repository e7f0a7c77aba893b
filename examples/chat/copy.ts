/** What a server does for rooms of other servers: it keeps a copy that can be read while their home is away. */

import type { PeerCaller, Sql, SqlTransaction } from "../../src/tab.ts"
import type { Chat } from "./chat.ts"
import type { RoomNews } from "./home.ts"
import { countOf, fieldsOf, isSealed, largestFile, longestNick, readNumbered, textOf } from "./message.ts"
import type { NumberedMessage } from "./message.ts"
import { addToOutbox } from "./outbox.ts"
import type { OutboxEntry } from "./outbox.ts"
import { askPeer, keepPin } from "./peer-calls.ts"
import { Refusal } from "./refusal.ts"
import { findMessage, findPlace, findRoom, firstMissing, keepMembers, keepMessage } from "./rooms.ts"
import type { Member, Room } from "./rooms.ts"

/** Becomes a member of a room elsewhere. Rejects with `Refusal`, and with what the way there says. */
export async function join(chat: Chat, address: { slug: string; name: string }, nick: string): Promise<Room> {
  const { env } = chat
  const { slug, name } = address
  if (env.identity.name === undefined) throw new Refusal(409, "Go public first: the room's server has to find yours")
  if (name === env.identity.name) throw new Refusal(400, "That room is one of your own")
  const question = { path: `/rooms/${slug}/members`, body: JSON.stringify({ nick }), key: crypto.randomUUID() }
  const { json, key } = await askPeer(env, name, question)
  const news = readNews(json)
  await keepPin(env.sql, name, key)
  const id = await env.sql.transaction((sql) => {
    const text = `INSERT INTO rooms (home_key, home_name, slug, title, topic, is_open, since) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (home_key, slug) DO UPDATE SET home_name = excluded.home_name RETURNING id`
    const since = Math.max(0, news.last - wantedBefore)
    const row = sql.get<{ id: number }>(text, key, name, slug, news.title, news.topic, news.isOpen ? 1 : 0, since)
    sql.run("DELETE FROM invitations WHERE home_name = ? AND slug = ?", name, slug)
    const room = row?.id ?? 0
    keepNews(sql, room, news)
    return room
  })
  chat.roomChanged(id)
  await catchUp(chat, id)
  return findRoom(env.sql, id)
}

/** Its home tells of it. */
export async function takeNews(chat: Chat, sql: Sql, caller: PeerCaller, json: unknown): Promise<void> {
  const news = readNews(json)
  const room = await findPlace(sql, { homeKey: caller.key, slug: news.slug })
  if (room === undefined || room.homeName === null) throw new Refusal(404, "This server has left that room")
  if (room.homeName !== caller.name) {
    await sql.run("UPDATE rooms SET home_name = ? WHERE home_key = ?", caller.name, caller.key)
    await sql.run("UPDATE outbox SET peer = ? WHERE peer = ?", caller.name, room.homeName)
  }
  await take(chat, sql, { ...room, homeName: caller.name }, news)
  // Behind this answer: its home may not be asked while it waits for us.
  chat.behind(() => catchUp(chat, room.id))
}

/** Asks its home for what is missing. Rejects when the home does not answer. */
export async function catchUp(chat: Chat, id: number, always = false): Promise<void> {
  if (chat.catchingUp.has(id)) return
  chat.catchingUp.add(id)
  try {
    for (let before = -1, isFirst = always; ; isFirst = false) {
      const room = await findRoom(chat.env.sql, id)
      if (room.homeName === null) return
      const missing = (await firstMissing(chat.env.sql, room)) ?? (isFirst ? room.last + 1 : undefined)
      // A home that does not give what it says it has is not asked forever.
      if (missing === undefined || missing === before) return
      before = missing
      const { json } = await askPeer(chat.env, room.homeName, {
        path: `/rooms/${room.slug}/messages?after=${missing - 1}`,
      })
      await take(chat, chat.env.sql, room, readNews(json))
    }
  } finally {
    chat.catchingUp.delete(id)
  }
}

/** Gets a file of a message. Rejects when it has to be done again. */
export async function fetchFile(chat: Chat, entry: OutboxEntry): Promise<void> {
  const { env } = chat
  const { room, message: messageId } = JSON.parse(entry.body) as { room: number; message: string }
  const file = (await findMessage(env.sql, room, messageId))?.file
  if (file === null || file === undefined) return
  if ((await env.blobs.stat(file.id)) === undefined) {
    const response = await env.peers.fetch(entry.peer, `/federation${entry.path}`, {
      signal: AbortSignal.timeout(fileMs),
    })
    if (!response.ok || response.body === null) throw new Error(`${entry.peer} does not have the file yet`)
    const got = await env.blobs.put(response.body, { type: file.type, limitBytes: Math.min(file.bytes, largestFile) })
    // Its id is the hash of its bytes.
    if (got.id !== file.id) {
      await env.blobs.delete(got.id)
      throw new Error(`${entry.peer} sent another file`)
    }
  }
  chat.messageChanged(room, messageId)
}

async function take(chat: Chat, sql: Sql, room: Room, news: RoomNews): Promise<void> {
  const isGood = await Promise.all(news.messages.map((message) => isSealed(chat.env.identity, room, message)))
  const changed = await sql.transaction((within) => {
    keepNews(within, room.id, news)
    return news.messages.filter((message, at) => {
      if (isGood[at] !== true) return leaveOut(within, room.id, message)
      const isNew = keepMessage(within, room.id, message, message.number)
      if (message.file !== null && message.author !== chat.env.identity.key) askForFile(within, room, message)
      return isNew
    })
  })
  for (const { id } of changed) chat.messageChanged(room.id, id)
  if (news.members !== undefined) chat.roomChanged(room.id)
  if (changed.some(({ file }) => file !== null)) chat.outbox.wake()
}

function keepNews(sql: SqlTransaction, room: number, news: RoomNews): void {
  const text = "UPDATE rooms SET title = ?, topic = ?, is_open = ?, last = max(last, ?) WHERE id = ?"
  sql.run(text, news.title, news.topic, news.isOpen ? 1 : 0, news.last, room)
  if (news.members !== undefined) keepMembers(sql, room, news.members)
}

/** Its place is kept, so that nobody asks for it again. */
function leaveOut(sql: SqlTransaction, room: number, { number }: NumberedMessage): boolean {
  const text = `INSERT OR IGNORE INTO messages (room, number, id, author, name, nick, text, sent, signature, trouble)
    VALUES (?, ?, ?, '', '', '', '', ?, '', 'not signed by its author')`
  return sql.run(text, room, number, `left-out-${number}`, Date.now()).changes > 0
}

function askForFile(sql: SqlTransaction, room: Room, { id, file }: NumberedMessage): void {
  if (room.homeName === null || file === null) return
  const path = `/rooms/${room.slug}/files/${file.id}`
  const body = JSON.stringify({ room: room.id, message: id })
  addToOutbox(sql, { peer: room.homeName, lane: "fetch", path, body, key: `${room.id} ${id}` })
}

function readNews(json: unknown): RoomNews {
  const { slug, title, topic, isOpen, last, messages, members } = fieldsOf(json)
  if (!Array.isArray(messages) || messages.length > mostMessages) throw new Refusal(400, "Not a list of messages")
  const facts = { slug: textOf(slug, 48), title: textOf(title, 80), topic: textOf(topic, 300), isOpen: isOpen === true }
  const news = { ...facts, last: countOf(last), messages: messages.map(readNumbered) }
  return members === undefined ? news : { ...news, members: readMembers(members) }
}

function readMembers(json: unknown): Member[] {
  if (!Array.isArray(json) || json.length > mostMembers) throw new Refusal(400, "Not a list of members")
  return json.map((each) => {
    const { key, name, nick } = fieldsOf(each)
    return { key: textOf(key, 43), name: textOf(name, 63), nick: textOf(nick, longestNick) }
  })
}

/** Messages from before we joined that are fetched. */
const wantedBefore = 500
const mostMessages = 200
const mostMembers = 1000
const fileMs = 10 * 60_000
