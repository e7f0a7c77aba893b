/**
 * How a path over datagrams begins. Both sides send hellos until each has seen its own nonce come back in one that only
 * somebody with the key could write: no order of who speaks first, so that two behind address translators may begin at
 * once. A hello is as long as a datagram that must pass, so that a way that carries less is not taken, and an answer is
 * never longer than what asked for it. Big-endian:
 *
 *     kind u8 = 0xB3 | version u8 = 1 | room 8 | path u32 | nonce 16 | echo 16 | seen: family u8, port u16, address 16
 *     | name length u8 | name | zeros to 1,188 | tag 12
 *
 * `room` says which key it is under, and nothing else; `path` is how the sender wants to be addressed; `echo` is the
 * receiver's nonce, or zeros when the sender does not know it; `seen` is where the receiver's datagrams come from.
 */

import { RdvError } from "../../../base/error.ts"
import { deriveKey, seal, tagBytes } from "./datagram-mac.ts"
import type { Mac, MacFor } from "./datagram-mac.ts"
import type { DatagramAddress } from "./datagram-socket.ts"

export const helloKind = 0xb3
export const helloBytes = 1200
export const nonceBytes = 16
export const roomBytes = 8
const version = 1
const mostName = 64
const nameAt = 66

export interface Hello {
  readonly path: number
  readonly nonce: Uint8Array
  readonly echo: Uint8Array
  readonly seen: DatagramAddress | undefined
  /** Who says it: 1-64 characters of base64url. */
  readonly name: string
}

/** What everybody with one key has in common. */
export interface Room {
  readonly id: Uint8Array
  readonly mac: Mac
}

export function roomOf(macFor: MacFor, key: Uint8Array): Room {
  return {
    id: deriveKey(macFor, key, "datagram room").slice(0, roomBytes),
    mac: macFor(deriveKey(macFor, key, "datagram hello")),
  }
}

/** The keys of a path: `mine` is the nonce of the side that writes with `out`. */
export function pathMacs(macFor: MacFor, key: Uint8Array, mine: Uint8Array, theirs: Uint8Array): { out: Mac; in: Mac } {
  return {
    out: macFor(deriveKey(macFor, key, "datagram path", mine, theirs)),
    in: macFor(deriveKey(macFor, key, "datagram path", theirs, mine)),
  }
}

export function writeHello(room: Room, { path, nonce, echo, seen, name }: Hello): Uint8Array {
  const bytes = new Uint8Array(helloBytes)
  const view = new DataView(bytes.buffer)
  bytes[0] = helloKind
  bytes[1] = version
  bytes.set(room.id, 2)
  view.setUint32(10, path)
  bytes.set(nonce, 14)
  bytes.set(echo, 30)
  const address = seen === undefined ? undefined : addressBytes(seen.address)
  if (seen !== undefined && address !== undefined) {
    bytes[46] = address.length === 4 ? 4 : 6
    view.setUint16(47, seen.port)
    bytes.set(address, 49)
  }
  const text = new TextEncoder().encode(name)
  if (text.length < 1 || text.length > mostName)
    throw new RdvError("usage", `A member's name has 1 to ${mostName} bytes`)
  bytes[nameAt - 1] = text.length
  bytes.set(text, nameAt)
  return seal(room.mac, bytes, helloBytes - tagBytes)
}

/** Which room a hello is for, as a key of maps; undefined when it is no hello. The tag is not looked at. */
export function helloRoom(datagram: Uint8Array): string | undefined {
  if (datagram.length !== helloBytes || datagram[0] !== helloKind || datagram[1] !== version) return undefined
  return roomKey(datagram.subarray(2, 2 + roomBytes))
}

export function roomKey(id: Uint8Array): string {
  return String.fromCharCode(...id)
}

/** The tag is right. Undefined when it does not read all the same. */
export function readHello(datagram: Uint8Array): Hello | undefined {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length)
  const length = datagram[nameAt - 1] as number
  if (length < 1 || length > mostName) return undefined
  const name = new TextDecoder().decode(datagram.subarray(nameAt, nameAt + length))
  if (!/^[\w-]+$/.test(name)) return undefined
  const family = datagram[46]
  const address = family === 4 ? datagram.subarray(49, 53) : family === 6 ? datagram.subarray(49, 65) : undefined
  return {
    path: view.getUint32(10),
    nonce: datagram.slice(14, 30),
    echo: datagram.slice(30, 46),
    seen: address === undefined ? undefined : { address: addressText(address), port: view.getUint16(47) },
    name,
  }
}

function addressBytes(text: string): Uint8Array | undefined {
  if (!text.includes(":")) {
    const parts = text.split(".").map(Number)
    return parts.length === 4 && parts.every((part) => part >= 0 && part <= 255) ? Uint8Array.from(parts) : undefined
  }
  const [head = "", tail] = (text.split("%")[0] as string).split("::")
  const groups = (side: string) => (side === "" ? [] : side.split(":").map((group) => Number.parseInt(group, 16)))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
  if (all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff))) return undefined
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]))
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".")
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2)
    groups.push((((bytes[at] as number) << 8) | (bytes[at + 1] as number)).toString(16))
  return groups.join(":")
}
