/** What a server does for the rooms whose home it is: it lets members in, numbers messages, and tells the members' servers. */

import type { PeerCaller, Sql, SqlTransaction } from "../../src/tab.ts"
import type { Chat } from "./chat.ts"
import { isSealed, longestNick, readMessage, textOf } from "./message.ts"
import type { NumberedMessage } from "./message.ts"
import { addToOutbox } from "./outbox.ts"
import { keepPin } from "./peer-calls.ts"
import { Refusal } from "./refusal.ts"
import { keepMessage, membersOf, messagesAfter, takeNumber } from "./rooms.ts"
import type { Member, Room } from "./rooms.ts"
import { randomText } from "./text-bytes.ts"

/** What members' servers hear of a room. */
export interface RoomNews {
  readonly slug: string
  readonly title: string
  readonly topic: string
  readonly isOpen: boolean
  readonly last: number
  readonly messages: readonly NumberedMessage[]
  /** Only when they have changed. */
  readonly members?: readonly Member[]
}

/** Somebody's server joins. Answers what it has to know. */
export async function admit(chat: Chat, sql: Sql, room: Room, caller: PeerCaller, nick: unknown): Promise<RoomNews> {
  const { key, name } = caller
  const member: Member = { key, name, nick: textOf(nick, longestNick).trim() || name }
  const guest = await sql.get("SELECT name FROM guests WHERE room = ? AND name = ?", room.id, name)
  const members = await membersOf(sql, room.id)
  const isMember = members.some((each) => each.key === key)
  if (!room.isOpen && guest === undefined && !isMember)
    throw new Refusal(403, `Only who is invited joins ${room.title}`)
  if (!isMember && members.length >= mostMembers) throw new Refusal(403, `${room.title} is full`)
  await keepPin(sql, name, key)
  const now = [...members.filter((each) => each.key !== key), member]
  await sql.transaction((within) => {
    const text = "INSERT OR REPLACE INTO members (room, key, name, nick) VALUES (?, ?, ?, ?)"
    within.run(text, room.id, key, name, member.nick)
    spread(within, room, { members: now.map((each) => named(chat, each)) }, key)
  })
  chat.roomChanged(room.id)
  return { ...factsOf(room), messages: [], members: now.map((each) => named(chat, each)) }
}

/** A member's message. Answers its number, the same when it comes again. */
export async function accept(chat: Chat, sql: Sql, room: Room, caller: PeerCaller, json: unknown): Promise<number> {
  const message = readMessage(json)
  await checkMember(sql, room, caller)
  if (message.author !== caller.key) throw new Refusal(403, "A server sends only what its own user wrote")
  if (!(await isSealed(chat.env.identity, room, message))) {
    throw new Refusal(403, "The message is not signed by its author for this room")
  }
  const number = await sql.transaction((within) => {
    const text = "SELECT number FROM messages WHERE room = ? AND id = ?"
    const before = within.get<{ number: number }>(text, room.id, message.id)
    if (before !== undefined) return before.number
    const taken = takeNumber(within, room.id)
    keepMessage(within, room.id, message, taken)
    spread(within, { ...room, last: taken }, { messages: [{ ...message, number: taken }] }, caller.key)
    if (message.file !== null) {
      const path = `/rooms/${room.slug}/files/${message.file.id}`
      const body = JSON.stringify({ room: room.id, message: message.id })
      addToOutbox(within, { peer: caller.name, lane: "fetch", path, body, key: `${room.id} ${message.id}` })
    }
    return taken
  })
  chat.messageChanged(room.id, message.id)
  chat.outbox.wake()
  return number
}

/** Those above a number, and what is known of the room. */
export async function catchUpAnswer(chat: Chat, sql: Sql, room: Room, after: number): Promise<RoomNews> {
  const messages = await messagesAfter(sql, room.id, after, mostAtOnce)
  const members = (await membersOf(sql, room.id)).map((each) => named(chat, each))
  return { ...factsOf(room), messages, members }
}

/** Throws `Refusal` when the caller is no member. */
export async function checkMember(sql: Sql, room: Room, { key, name }: PeerCaller): Promise<void> {
  const text = "SELECT name FROM members WHERE room = ? AND key = ?"
  const member = await sql.get<{ name: string }>(text, room.id, key)
  if (member === undefined) throw new Refusal(403, `${name} is no member of ${room.title}`)
  // A server may have another name than before: it is known by its key.
  if (member.name !== name) await sql.run("UPDATE members SET name = ? WHERE key = ?", name, key)
}

export async function dismiss(chat: Chat, sql: Sql, room: Room, key: string): Promise<void> {
  await sql.run("DELETE FROM members WHERE room = ? AND key = ?", room.id, key)
  const members = (await membersOf(sql, room.id)).map((each) => named(chat, each))
  await sql.transaction((within) => spread(within, room, { members }, key))
  chat.roomChanged(room.id)
  chat.outbox.wake()
}

/** Puts news into the outbox for every member's server but one. */
export function spread(sql: SqlTransaction, room: Room, news: Partial<RoomNews>, except: string): void {
  const members = sql.all<{ key: string; name: string }>("SELECT key, name FROM members WHERE room = ?", room.id)
  const full = JSON.stringify({ ...factsOf(room), messages: [], ...news })
  for (const { key, name } of members) {
    if (key === except || name === "" || key === room.homeKey) continue
    const { count } = sql.get<{ count: number }>("SELECT count(*) AS count FROM outbox WHERE peer = ?", name) ?? {
      count: 0,
    }
    if (count < mostWaiting)
      addToOutbox(sql, { peer: name, lane: "tell", path: "/news", body: full, key: randomText() })
    else {
      // He has been away for long: one word is enough for him to ask for the rest.
      const path = `/news?all=${room.slug}`
      sql.run("DELETE FROM outbox WHERE peer = ? AND path = ?", name, path)
      const body = JSON.stringify({ ...factsOf(room), messages: [], members: news.members })
      addToOutbox(sql, { peer: name, lane: "tell", path, body, key: randomText() })
    }
  }
}

function factsOf({ slug, title, topic, isOpen, last }: Room): Omit<RoomNews, "messages"> {
  return { slug, title, topic, isOpen, last }
}

/** Our own name is as it is now. */
function named(chat: Chat, member: Member): Member {
  const { key, name = "" } = chat.env.identity
  return member.key === key ? { ...member, name } : member
}

const mostMembers = 200
export const mostAtOnce = 100
/** Entries for one server. */
const mostWaiting = 200
