/**
 * Datagrams of a cast, to the byte (docs/reference/share-paths.md); big-endian, each ends in a tag of 12 bytes.
 *
 *     down, to the group:  0xB4 | type u8 | session u32 | …
 *       1 beacon: number u32 | nonce 16 | piece bytes u16 | receivers u16 | pass u16 | version u16 | flags u8
 *                 | slot u32 | piece u16 | count u8 | count × receiver u32
 *       2 piece:  number u32 | pass u16 | version u16 | chunk u32 | length u32 | slot u32 | piece u16 | bytes
 *     up, to where the beacon came from:  0xB5 | type u8 | session u32 | receiver u32 | highest number u32 | …
 *       1 here:   flags u8 | pieces received u32
 *       2 missing: pass u16 | count u8 | count × (slot u32 | ranges u8 | ranges × (from u16, to u16))
 *       3 have:   pass u16 | first chunk u32 | a bit for each chunk from there, the first in the lowest
 *
 * A slot is the place of a chunk in its pass, from 0: who has missed a whole chunk knows its slot. Beacons are under a key
 * of the swarm, all else under keys that follow from the beacon's nonce.
 */

import { tagBytes } from "./datagram-mac.ts"

export const downKind = 0xb4
export const upKind = 0xb5
export const castTypes = { beacon: 1, piece: 2, here: 1, missing: 2, have: 3 } as const

export const castNonceBytes = 16
const beaconBytes = 42
export const castPieceHeadBytes = 28
const hereBytes = 19
const missingBytes = 17
const haveBytes = 20

export const passRuns = 1
export const passOver = 2
/** A receiver has seen itself in a beacon. */
export const hereConfirmed = 1
/** It has all that it can have of the pass. */
export const hereComplete = 2

export interface Beacon {
  readonly session: number
  readonly number: number
  readonly nonce: Uint8Array
  readonly pieceBytes: number
  readonly receivers: number
  /** 0: none yet. */
  readonly pass: number
  readonly version: number
  readonly flags: number
  /** How far the pass is: the next to be sent for the first time. */
  readonly slot: number
  readonly piece: number
  /** Whom the sender has heard. */
  readonly heard: readonly number[]
}

export interface CastPiece {
  readonly session: number
  readonly number: number
  readonly pass: number
  readonly version: number
  readonly chunk: number
  readonly length: number
  readonly slot: number
  readonly piece: number
}

export interface Here {
  readonly session: number
  readonly receiver: number
  readonly highest: number
  readonly flags: number
  readonly received: number
}

export interface MissingSlot {
  readonly slot: number
  /** `from` up to and without `to`; up to `allPieces` when the chunk's length is not known. */
  readonly ranges: readonly (readonly [from: number, to: number])[]
}

export interface Missing {
  readonly session: number
  readonly receiver: number
  readonly highest: number
  readonly pass: number
  readonly slots: readonly MissingSlot[]
}

export interface Have {
  readonly session: number
  readonly receiver: number
  readonly highest: number
  readonly pass: number
  /** Divisible by 8. */
  readonly first: number
  readonly bits: Uint8Array
}

export const allPieces = 0xffff
export const mostHeard = 240
/** Ranges in one message for one slot. */
export const mostMissingRanges = 64

export function castSession(datagram: Uint8Array): number {
  return new DataView(datagram.buffer, datagram.byteOffset).getUint32(2)
}

/** Returns the length without the tag. */
export function writeBeacon(into: Uint8Array, beacon: Beacon): number {
  const view = viewOf(into)
  into[0] = downKind
  into[1] = castTypes.beacon
  view.setUint32(2, beacon.session)
  view.setUint32(6, beacon.number)
  into.set(beacon.nonce, 10)
  view.setUint16(26, beacon.pieceBytes)
  view.setUint16(28, Math.min(0xffff, beacon.receivers))
  view.setUint16(30, beacon.pass)
  view.setUint16(32, beacon.version)
  into[34] = beacon.flags
  view.setUint32(35, beacon.slot)
  view.setUint16(39, beacon.piece)
  into[41] = beacon.heard.length
  for (const [at, receiver] of beacon.heard.entries()) view.setUint32(beaconBytes + at * 4, receiver)
  return beaconBytes + beacon.heard.length * 4
}

/** The tag is right. Undefined when it does not read. */
export function readBeacon(datagram: Uint8Array): Beacon | undefined {
  const end = datagram.length - tagBytes
  if (end < beaconBytes || datagram[0] !== downKind || datagram[1] !== castTypes.beacon) return undefined
  const view = viewOf(datagram)
  const count = datagram[41] as number
  const pieceBytes = view.getUint16(26)
  if (end !== beaconBytes + count * 4 || pieceBytes === 0) return undefined
  return {
    session: view.getUint32(2),
    number: view.getUint32(6),
    nonce: datagram.slice(10, 10 + castNonceBytes),
    pieceBytes,
    receivers: view.getUint16(28),
    pass: view.getUint16(30),
    version: view.getUint16(32),
    flags: datagram[34] as number,
    slot: view.getUint32(35),
    piece: view.getUint16(39),
    heard: Array.from({ length: count }, (_, at) => view.getUint32(beaconBytes + at * 4)),
  }
}

export function writePiece(into: Uint8Array, piece: CastPiece, bytes: Uint8Array): number {
  const view = viewOf(into)
  into[0] = downKind
  into[1] = castTypes.piece
  view.setUint32(2, piece.session)
  view.setUint32(6, piece.number)
  view.setUint16(10, piece.pass)
  view.setUint16(12, piece.version)
  view.setUint32(14, piece.chunk)
  view.setUint32(18, piece.length)
  view.setUint32(22, piece.slot)
  view.setUint16(26, piece.piece)
  into.set(bytes, castPieceHeadBytes)
  return castPieceHeadBytes + bytes.length
}

/** The bytes are those between its head and the tag. */
export function readPiece(datagram: Uint8Array): CastPiece | undefined {
  if (datagram.length <= castPieceHeadBytes + tagBytes || datagram[1] !== castTypes.piece) return undefined
  const view = viewOf(datagram)
  return {
    session: view.getUint32(2),
    number: view.getUint32(6),
    pass: view.getUint16(10),
    version: view.getUint16(12),
    chunk: view.getUint32(14),
    length: view.getUint32(18),
    slot: view.getUint32(22),
    piece: view.getUint16(26),
  }
}

export function writeHere(into: Uint8Array, here: Here): number {
  const view = writeUp(into, castTypes.here, here)
  into[14] = here.flags
  view.setUint32(15, here.received)
  return hereBytes
}

export function readHere(datagram: Uint8Array): Here | undefined {
  if (datagram.length !== hereBytes + tagBytes || datagram[1] !== castTypes.here) return undefined
  const view = viewOf(datagram)
  return { ...readUp(view), flags: datagram[14] as number, received: view.getUint32(15) }
}

/** Writes as many slots as fit; returns the length and how many they are. */
export function writeMissing(into: Uint8Array, missing: Missing, most: number): { length: number; slots: number } {
  const view = writeUp(into, castTypes.missing, missing)
  view.setUint16(14, missing.pass)
  let at = missingBytes
  let slots = 0
  for (const { slot, ranges } of missing.slots) {
    if (slots === 255 || at + 5 + ranges.length * 4 > most - tagBytes) break
    view.setUint32(at, slot)
    into[at + 4] = ranges.length
    at += 5
    for (const [from, to] of ranges) {
      view.setUint16(at, from)
      view.setUint16(at + 2, to)
      at += 4
    }
    slots++
  }
  into[16] = slots
  return { length: at, slots }
}

export function readMissing(datagram: Uint8Array): Missing | undefined {
  const end = datagram.length - tagBytes
  if (end < missingBytes || datagram[1] !== castTypes.missing) return undefined
  const view = viewOf(datagram)
  const slots: MissingSlot[] = []
  let at = missingBytes
  for (let left = datagram[16] as number; left > 0; left--) {
    if (at + 5 > end) return undefined
    const slot = view.getUint32(at)
    const count = datagram[at + 4] as number
    at += 5
    if (count > mostMissingRanges || at + count * 4 > end) return undefined
    const ranges: [number, number][] = []
    for (let each = 0; each < count; each++, at += 4) ranges.push([view.getUint16(at), view.getUint16(at + 2)])
    slots.push({ slot, ranges })
  }
  return { ...readUp(view), pass: view.getUint16(14), slots }
}

export function writeHave(into: Uint8Array, have: Have): number {
  const view = writeUp(into, castTypes.have, have)
  view.setUint16(14, have.pass)
  view.setUint32(16, have.first)
  into.set(have.bits, haveBytes)
  return haveBytes + have.bits.length
}

export function readHave(datagram: Uint8Array): Have | undefined {
  const end = datagram.length - tagBytes
  if (end <= haveBytes || datagram[1] !== castTypes.have) return undefined
  const view = viewOf(datagram)
  const first = view.getUint32(16)
  if (first % 8 !== 0) return undefined
  return { ...readUp(view), pass: view.getUint16(14), first, bits: datagram.slice(haveBytes, end) }
}

function writeUp(into: Uint8Array, type: number, up: Pick<Here, "session" | "receiver" | "highest">): DataView {
  const view = viewOf(into)
  into[0] = upKind
  into[1] = type
  view.setUint32(2, up.session)
  view.setUint32(6, up.receiver)
  view.setUint32(10, up.highest)
  return view
}

function readUp(view: DataView): Pick<Here, "session" | "receiver" | "highest"> {
  return { session: view.getUint32(2), receiver: view.getUint32(6), highest: view.getUint32(10) }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
