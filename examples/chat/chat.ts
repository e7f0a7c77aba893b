/** One server's chat: what its parts share, and what goes on in it while nobody asks. */

import type { TabEnv } from "../../src/tab.ts"
import { catchUp, fetchFile } from "./copy.ts"
import { dismiss } from "./home.ts"
import { Live } from "./live.ts"
import { Outbox } from "./outbox.ts"
import type { OutboxEntry } from "./outbox.ts"
import { findMessage, findOwn, findRoom, listRooms } from "./rooms.ts"
import { schema } from "./schema.ts"
import { randomText } from "./text-bytes.ts"
import { messageView, roomList } from "./views/room-view.ts"

export async function openChat(env: TabEnv): Promise<Chat> {
  await env.sql.script(schema)
  const chat = new Chat(env)
  chat.wake()
  return chat
}

export class Chat {
  /** The server's own, also behind the answer of a request. */
  readonly env: TabEnv
  readonly live: Live = new Live()
  readonly outbox: Outbox
  /** Rooms whose home is being asked. */
  readonly catchingUp: Set<number> = new Set()
  readonly #born: string = randomText()
  readonly #changes: Map<number, number> = new Map()
  /** The name under which rooms of others were looked at last. */
  #lookedAs: string | undefined
  #isListing = false

  constructor(env: TabEnv) {
    this.env = env
    this.outbox = new Outbox({
      env,
      fetch: (entry) => fetchFile(this, entry),
      onAnswer: (entry, answer) => this.#answered(entry, answer),
      onRefused: (entry, reason) => this.#refused(entry, reason),
      onChange: () => this.live.publish("status", null, { isPublic: false }),
    })
  }

  /** Looks whether there is something to do: at the start, and with every request. */
  wake(): void {
    const { name } = this.env.identity
    this.outbox.wake()
    if (name === this.#lookedAs) return
    this.#lookedAs = name
    if (name !== undefined) this.behind(() => this.#askHomes())
    else this.#waitForName()
  }

  /** Work that nobody waits for; what it rejects is a line in the log. */
  behind(work: () => Promise<void>): void {
    this.env.waitUntil(
      work().catch((error: unknown) => {
        if (isClosed(error)) return
        this.env.log.debug("not yet", { reason: error instanceof Error ? error.message : String(error) })
      }),
    )
  }

  /** Another one whenever something in the room has changed, also by the start of another server. */
  stamp(room: number): string {
    return `${this.#born}-${this.#changes.get(room) ?? 0}`
  }

  /** Shows it on pages that are open, once it is on disk. */
  messageChanged(room: number, id: string): void {
    this.behind(async () => {
      const message = await findMessage(this.env.sql, room, id)
      if (message === undefined) return
      this.#changes.set(room, (this.#changes.get(room) ?? 0) + 1)
      const isHere = message.file === null || (await this.env.blobs.stat(message.file.id)) !== undefined
      for (const isPublic of [false, true]) {
        if (!this.live.has({ room, isPublic })) continue
        const files = isPublic ? `/r/${(await findRoom(this.env.sql, room)).slug}/files` : `/rooms/${room}/files`
        const view = messageView(message, { ownKey: this.env.identity.key, files, isHere, isPublic })
        this.live.publish("message", { html: String(await view) }, { room, isPublic })
      }
    })
    this.roomChanged(room, false)
  }

  /** `facts`: its title, or who is in it. */
  roomChanged(room: number, facts = true): void {
    if (facts) {
      this.behind(async () => {
        // Behind the change: this waits until it is on disk.
        await findRoom(this.env.sql, room)
        this.live.publish("room", null, { room, isPublic: false })
      })
    }
    if (this.#isListing || !this.live.has({ isPublic: false })) return
    this.#isListing = true
    this.behind(async () => {
      await new Promise((resolve) => setTimeout(resolve, listMs))
      this.#isListing = false
      this.live.publish("rooms", { html: String(await roomList(await listRooms(this.env.sql))) }, { isPublic: false })
    })
  }

  /** What was said while we were away, for all rooms of others. */
  async #askHomes(): Promise<void> {
    for (const { id, homeName } of await listRooms(this.env.sql)) {
      if (homeName !== null) this.behind(() => catchUp(this, id, true))
    }
  }

  /** Who was public is so again soon after the start, and nobody else says when. */
  #waitForName(left = 60): void {
    if (left === 0) return
    const timer = setTimeout(() => {
      if (this.env.identity.name === undefined) this.#waitForName(left - 1)
      else this.wake()
    }, nameMs)
    ;(timer as { unref?: () => void }).unref?.()
  }

  async #answered({ path, key }: OutboxEntry, answer: unknown): Promise<void> {
    const slug = /^\/rooms\/([^/]+)\/messages$/.exec(path)?.[1]
    const { number } = answer as { number?: unknown }
    if (slug === undefined || !Number.isSafeInteger(number)) return
    const { sql } = this.env
    const row = await sql.get<{ room: number }>("SELECT room FROM messages WHERE id = ? AND number IS NULL", key)
    if (row === undefined) return
    await sql.transaction((within) => {
      const value = number as number
      within.run("UPDATE messages SET number = ?, trouble = NULL WHERE room = ? AND id = ?", value, row.room, key)
      within.run("UPDATE rooms SET last = max(last, ?) WHERE id = ?", value, row.room)
    })
    this.messageChanged(row.room, key)
    this.behind(() => catchUp(this, row.room))
  }

  async #refused({ peer, path, body, key }: OutboxEntry, reason: string): Promise<void> {
    const { sql } = this.env
    if (path.startsWith("/news")) {
      // Its server has left the room.
      const { slug } = JSON.parse(body) as { slug: string }
      const room = await findOwn(sql, slug)
      const member = await sql.get<{ key: string }>(
        "SELECT key FROM members WHERE room = ? AND name = ?",
        room.id,
        peer,
      )
      if (member !== undefined) await dismiss(this, sql, room, member.key)
      return
    }
    const row = await sql.get<{ room: number }>("SELECT room FROM messages WHERE id = ? AND number IS NULL", key)
    if (row === undefined) return
    await sql.run("UPDATE messages SET trouble = ? WHERE room = ? AND id = ?", reason, row.room, key)
    this.messageChanged(row.room, key)
  }
}

function isClosed(error: unknown): boolean {
  return (error as { code?: unknown }).code === "closed"
}

/** Changes of one moment are shown together. */
const listMs = 40
const nameMs = 500
