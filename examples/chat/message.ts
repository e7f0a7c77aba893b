/**
 * A message as it goes from server to server. Its author's server signs it together with the room that it was written for,
 * so that nobody on the way can change it, invent it, or carry it into another room. Its number is the room's home's.
 */

import type { Identity } from "../../src/tab.ts"
import { Refusal } from "./refusal.ts"
import { fromText, randomText, toText } from "./text-bytes.ts"

export interface ChatFile {
  /** Of the blob: the hash of its bytes. */
  readonly id: string
  readonly name: string
  readonly type: string
  readonly bytes: number
}

export interface Message {
  readonly id: string
  /** Key of the author's server. */
  readonly author: string
  /** Its name when the message was written, "" while it had none. */
  readonly name: string
  readonly nick: string
  readonly text: string
  readonly file: ChatFile | null
  /** When, by the author's clock, ms. */
  readonly sent: number
  readonly signature: string
}

export interface NumberedMessage extends Message {
  /** From 1 on, without gaps. */
  readonly number: number
}

/** Which room a message is for: the same for all servers. */
export interface RoomPlace {
  readonly homeKey: string
  readonly slug: string
}

export const longestText = 4000
export const longestNick = 40
export const largestFile: number = 32 * 1024 * 1024

export async function sealMessage(
  identity: Identity,
  place: RoomPlace,
  draft: Pick<Message, "nick" | "text" | "file">,
): Promise<Message> {
  const bare = { ...draft, id: randomText(), author: identity.key, name: identity.name ?? "", sent: Date.now() }
  return { ...bare, signature: toText(await identity.sign(sealedBytes(place, bare))) }
}

/** Whether its author wrote it, and for this room. */
export async function isSealed(identity: Identity, place: RoomPlace, message: Message): Promise<boolean> {
  const signature = fromText(message.signature)
  return signature !== undefined && identity.verify(message.author, sealedBytes(place, message), signature)
}

/** What another server sent. Throws `Refusal` when it is no message. */
export function readMessage(json: unknown): Message {
  const { id, author, name, nick, text, file, sent, signature } = fieldsOf(json)
  const message = {
    id: textOf(id, 22),
    author: textOf(author, 43),
    name: textOf(name, 63),
    nick: textOf(nick, longestNick),
    text: textOf(text, longestText),
    file: file === null ? null : readFile(file),
    sent: countOf(sent),
    signature: textOf(signature, 86),
  }
  if (message.id.length !== 22) throw new Refusal(400, "A message has an id of 22 characters")
  if (message.text === "" && message.file === null) throw new Refusal(400, "A message has a text or a file")
  return message
}

export function readNumbered(json: unknown): NumberedMessage {
  const number = countOf(fieldsOf(json)["number"])
  if (number === 0) throw new Refusal(400, "Messages are numbered from 1 on")
  return { ...readMessage(json), number }
}

export function fieldsOf(json: unknown): { readonly [name: string]: unknown } {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Refusal(400, "Not an object")
  return json as { readonly [name: string]: unknown }
}

export function textOf(value: unknown, longest: number): string {
  if (typeof value !== "string" || value.length > longest) throw new Refusal(400, `Not a text of up to ${longest}`)
  return value
}

export function countOf(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Refusal(400, "Not a whole number")
  return value as number
}

function readFile(json: unknown): ChatFile {
  const { id, name, type, bytes } = fieldsOf(json)
  const file = { id: textOf(id, 43), name: textOf(name, 200), type: textOf(type, 100), bytes: countOf(bytes) }
  if (file.bytes > largestFile) throw new Refusal(413, `A file has at most ${largestFile} bytes`)
  return file
}

function sealedBytes({ homeKey, slug }: RoomPlace, message: Omit<Message, "signature">): Uint8Array {
  const { id, author, name, nick, text, file, sent } = message
  const facts = file === null ? null : [file.id, file.name, file.type, file.bytes]
  return new TextEncoder().encode(
    JSON.stringify(["chat message", homeKey, slug, id, author, name, nick, text, facts, sent]),
  )
}
