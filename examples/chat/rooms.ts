/** Rooms, their members and messages, as rows. Functions over a transaction change several of them or none. */

import type { Sql, SqlRow, SqlTransaction } from "../../src/tab.ts"
import type { ChatFile, Message, NumberedMessage, RoomPlace } from "./message.ts"
import { Refusal } from "./refusal.ts"

export interface Room extends RoomPlace {
  readonly id: number
  /** The server that numbers the messages; null: this one. */
  readonly homeName: string | null
  readonly title: string
  readonly topic: string
  /** Everybody may read it and join. */
  readonly isOpen: boolean
  readonly since: number
  readonly last: number
}

export interface Member {
  readonly key: string
  /** Of its server, "" while it has none. */
  readonly name: string
  readonly nick: string
}

/** A message as this server has it. */
export interface KeptMessage extends Message {
  readonly position: number
  readonly room: number
  /** Null: its home has not got it yet. */
  readonly number: number | null
  /** Why its home does not want it. */
  readonly trouble: string | null
}

export interface ListedRoom extends Room {
  readonly unread: number
  readonly lastText: string | null
}

export async function findRoom(sql: Sql, id: number): Promise<Room> {
  const row = await sql.get<RoomRow>("SELECT * FROM rooms WHERE id = ?", id)
  if (row === undefined) throw new Refusal(404, "There is no such room")
  return roomOf(row)
}

export async function findPlace(sql: Sql, { homeKey, slug }: RoomPlace): Promise<Room | undefined> {
  const row = await sql.get<RoomRow>("SELECT * FROM rooms WHERE home_key = ? AND slug = ?", homeKey, slug)
  return row === undefined ? undefined : roomOf(row)
}

/** A room of this server. */
export async function findOwn(sql: Sql, slug: string): Promise<Room> {
  const row = await sql.get<RoomRow>("SELECT * FROM rooms WHERE home_name IS NULL AND slug = ?", slug)
  if (row === undefined) throw new Refusal(404, "There is no such room")
  return roomOf(row)
}

export async function listRooms(sql: Sql): Promise<ListedRoom[]> {
  const rows = await sql.all<RoomRow & { unread: number; lastText: string | null }>(
    `SELECT rooms.*,
      (SELECT count(*) FROM messages WHERE room = rooms.id AND position > rooms.seen) AS unread,
      (SELECT CASE WHEN text = '' THEN 'File: ' || json_extract(file, '$.name') ELSE text END FROM messages
        WHERE room = rooms.id ORDER BY position DESC LIMIT 1) AS lastText
    FROM rooms ORDER BY (SELECT max(position) FROM messages WHERE room = rooms.id) DESC NULLS LAST, id DESC`,
  )
  return rows.map((row) => ({ ...roomOf(row), unread: row.unread, lastText: row.lastText }))
}

export async function openRooms(sql: Sql): Promise<Room[]> {
  const rows = await sql.all<RoomRow>("SELECT * FROM rooms WHERE home_name IS NULL AND is_open = 1 ORDER BY title")
  return rows.map(roomOf)
}

export async function membersOf(sql: Sql, room: number): Promise<Member[]> {
  return sql.all<Member & SqlRow>("SELECT key, name, nick FROM members WHERE room = ? ORDER BY nick, name", room)
}

/** In the order of reading: those without a number last. At most `most`, the newest; `before` is a number. */
export async function messagesOf(sql: Sql, room: number, most: number, before?: number): Promise<KeptMessage[]> {
  const rows = await sql.all<MessageRow>(
    `SELECT * FROM messages WHERE room = ? AND coalesce(number, ?) < ?
    ORDER BY number IS NULL DESC, number DESC, position DESC LIMIT ?`,
    room,
    unnumbered,
    before ?? unnumbered + 1,
    most,
  )
  return rows.map(messageOf).toReversed()
}

export async function findMessage(sql: Sql, room: number, id: string): Promise<KeptMessage | undefined> {
  const row = await sql.get<MessageRow>("SELECT * FROM messages WHERE room = ? AND id = ?", room, id)
  return row === undefined ? undefined : messageOf(row)
}

/** Numbered ones above `after`, oldest first. */
export async function messagesAfter(sql: Sql, room: number, after: number, most: number): Promise<NumberedMessage[]> {
  const rows = await sql.all<MessageRow>(
    "SELECT * FROM messages WHERE room = ? AND number > ? ORDER BY number LIMIT ?",
    room,
    after,
    most,
  )
  return rows.map((row) => wireMessage(messageOf(row)) as NumberedMessage)
}

/** A file of a message in this room. */
export async function findFile(sql: Sql, room: number, id: string): Promise<ChatFile | undefined> {
  const row = await sql.get<{ file: string }>(
    "SELECT file FROM messages WHERE room = ? AND json_extract(file, '$.id') = ? LIMIT 1",
    room,
    id,
  )
  return row === undefined ? undefined : (JSON.parse(row.file) as ChatFile)
}

/** The first number that is missing before `last`; undefined: none is. */
export async function firstMissing(sql: Sql, { id, since, last }: Room): Promise<number | undefined> {
  const row = await sql.get<{ after: number }>(
    `SELECT min(after) AS after FROM (SELECT ? AS after UNION ALL SELECT number FROM messages WHERE room = ? AND number > ?)
    WHERE after < ? AND NOT EXISTS (SELECT 1 FROM messages WHERE room = ? AND number = after + 1)`,
    since,
    id,
    since,
    last,
    id,
  )
  return typeof row?.after === "number" ? row.after + 1 : undefined
}

/** Its next number, as the room's home. */
export function takeNumber(sql: SqlTransaction, room: number): number {
  const row = sql.get<{ last: number }>("UPDATE rooms SET last = last + 1 WHERE id = ? RETURNING last", room)
  if (row === undefined) throw new Refusal(404, "There is no such room")
  return row.last
}

/** The same message again gets its number, if it had none. False: nothing was changed. */
export function keepMessage(sql: SqlTransaction, room: number, message: Message, number: number | null): boolean {
  const { id, author, name, nick, text, file, sent, signature } = message
  const before = sql.get<{ number: number | null }>("SELECT number FROM messages WHERE room = ? AND id = ?", room, id)
  if (before !== undefined) {
    if (number === null || before.number !== null) return false
    sql.run("UPDATE messages SET number = ?, trouble = NULL WHERE room = ? AND id = ?", number, room, id)
  } else {
    const stored = file === null ? null : JSON.stringify(file)
    sql.run(
      `INSERT INTO messages (room, number, id, author, name, nick, text, file, sent, signature)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      room,
      number,
      id,
      author,
      name,
      nick,
      text,
      stored,
      sent,
      signature,
    )
  }
  if (number !== null) sql.run("UPDATE rooms SET last = max(last, ?) WHERE id = ?", number, room)
  return true
}

export function keepMembers(sql: SqlTransaction, room: number, members: readonly Member[]): void {
  sql.run("DELETE FROM members WHERE room = ?", room)
  for (const { key, name, nick } of members) {
    sql.run("INSERT OR REPLACE INTO members (room, key, name, nick) VALUES (?, ?, ?, ?)", room, key, name, nick)
  }
}

/** As other servers get it: what this one alone knows is left out. */
export function wireMessage(message: KeptMessage): Message | NumberedMessage {
  const { id, author, name, nick, text, file, sent, signature, number } = message
  return { id, author, name, nick, text, file, sent, signature, ...(number !== null && { number }) }
}

/** A word for addresses that no room of this server has yet. */
export async function freeSlug(sql: Sql, title: string): Promise<string> {
  const plain = title.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase()
  const wish =
    plain
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "")
      .slice(0, 40) || "room"
  for (let count = 1; ; count++) {
    const slug = count === 1 ? wish : `${wish}-${count}`
    const taken = await sql.get("SELECT 1 AS taken FROM rooms WHERE home_name IS NULL AND slug = ?", slug)
    if (taken === undefined) return slug
  }
}

/** `slug@name`. Throws `Refusal`. */
export function readAddress(text: string): { readonly slug: string; readonly name: string } {
  const [, slug, name] = /^\s*([a-z0-9-]{1,48})@([a-z0-9][a-z0-9-]{0,62})\s*$/i.exec(text) ?? []
  if (slug === undefined || name === undefined) {
    throw new Refusal(400, "The address of a room looks like garden@alice: its name, and the name of its server")
  }
  return { slug: slug.toLowerCase(), name: name.toLowerCase() }
}

/** Sorts behind all numbers. */
const unnumbered = 2 ** 50

type RoomRow = SqlRow & {
  readonly id: number
  readonly home_key: string
  readonly home_name: string | null
  readonly slug: string
  readonly title: string
  readonly topic: string
  readonly is_open: number
  readonly since: number
  readonly last: number
}

function roomOf(row: RoomRow): Room {
  const { id, home_key: homeKey, home_name: homeName, slug, title, topic, is_open: isOpen, since, last } = row
  return { id, homeKey, homeName, slug, title, topic, isOpen: isOpen === 1, since, last }
}

type MessageRow = SqlRow & Omit<KeptMessage, "file"> & { readonly file: string | null }

function messageOf(row: MessageRow): KeptMessage {
  return { ...row, file: row.file === null ? null : (JSON.parse(row.file) as ChatFile) }
}
