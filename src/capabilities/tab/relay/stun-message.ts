/**
 * STUN as far as a server needs it that only tells where a packet came from: Binding requests (RFC 8489). It answers nothing
 * that is not one, and never says much more than it was asked: nobody gains by asking in another's name.
 */

export interface StunFrom {
  /** An IPv4 or IPv6 address, as text. */
  readonly address: string
  readonly port: number
}

/** The answer to a packet; undefined where none is due. */
export function answerStun(packet: Uint8Array, from: StunFrom): Uint8Array | undefined {
  if (packet.length < headerBytes || packet.length > mostBytes) return undefined
  // A sender that wants no answer (RFC 768), or one that hopes that sending there fails.
  if (from.port === 0) return undefined
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  if (view.getUint16(0) !== bindingRequest || view.getUint32(4) !== magicCookie) return undefined
  if (view.getUint16(2) !== packet.length - headerBytes || packet.length % 4 !== 0) return undefined
  const unknown = unknownAttributes(view)
  if (unknown === undefined) return undefined
  const address = addressBytes(from.address)
  if (address === undefined) return undefined
  const transaction = packet.subarray(4, headerBytes)
  return unknown.length > 0 ? refusal(transaction, unknown) : success(transaction, address, from.port)
}

/** Those that must be understood and are not; undefined: the attributes do not fit into the packet. */
function unknownAttributes(view: DataView): number[] | undefined {
  const unknown: number[] = []
  let at = headerBytes
  while (at < view.byteLength) {
    if (view.byteLength - at < 4) return undefined
    const type = view.getUint16(at)
    const length = view.getUint16(at + 2)
    at += 4 + length + ((4 - (length % 4)) % 4)
    if (at > view.byteLength) return undefined
    // Below 0x8000 they must be understood (section 14). USERNAME, MESSAGE-INTEGRITY and their kin mean nothing here.
    if (type < 0x8000 && !ignored.has(type) && unknown.length < mostUnknown && !unknown.includes(type))
      unknown.push(type)
  }
  return unknown
}

/** XOR-MAPPED-ADDRESS (section 14.2): routers that rewrite addresses within packets do not find it. */
function success(transaction: Uint8Array, address: Uint8Array, port: number): Uint8Array {
  const answer = head(bindingSuccess, transaction, 8 + address.length)
  const view = new DataView(answer.buffer)
  view.setUint16(20, xorMappedAddress)
  view.setUint16(22, 4 + address.length)
  view.setUint8(25, address.length === 4 ? 1 : 2)
  view.setUint16(26, port ^ (magicCookie >>> 16))
  for (let at = 0; at < address.length; at++) {
    answer[28 + at] = (address[at] as number) ^ (transaction[at] as number)
  }
  return answer
}

/** 420 (section 6.3.1). */
function refusal(transaction: Uint8Array, unknown: readonly number[]): Uint8Array {
  const listBytes = unknown.length * 2
  const padded = listBytes + (listBytes % 4)
  const answer = head(bindingError, transaction, 8 + 4 + padded)
  const view = new DataView(answer.buffer)
  view.setUint16(20, errorCode)
  view.setUint16(22, 4)
  view.setUint8(26, 4)
  view.setUint8(27, 20)
  view.setUint16(28, unknownAttributesType)
  view.setUint16(30, listBytes)
  for (const [index, type] of unknown.entries()) view.setUint16(32 + index * 2, type)
  return answer
}

/** `transaction` is the magic cookie with the id behind it. */
function head(type: number, transaction: Uint8Array, bodyBytes: number): Uint8Array {
  const answer = new Uint8Array(headerBytes + bodyBytes)
  const view = new DataView(answer.buffer)
  view.setUint16(0, type)
  view.setUint16(2, bodyBytes)
  answer.set(transaction, 4)
  return answer
}

/** 4 or 16 bytes; an IPv4 address that comes in IPv6's clothes has 4. */
function addressBytes(text: string): Uint8Array | undefined {
  const mapped = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i.exec(text)
  if (mapped !== null) {
    const parts = mapped.slice(1).map(Number)
    return parts.every((part) => part <= 255) ? Uint8Array.from(parts) : undefined
  }
  const [left, right, ...more] = (text.split("%")[0] as string).split("::")
  if (left === undefined || more.length > 0) return undefined
  const groups = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => hexGroup(group)))
  const [first, last] = [groups(left), groups(right ?? "")]
  const missing = 8 - first.length - last.length
  if (right === undefined ? missing !== 0 : missing < 1) return undefined
  const all = [...first, ...Array.from({ length: missing }, () => 0), ...last]
  if (all.some((group) => Number.isNaN(group))) return undefined
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]))
}

function hexGroup(text: string): number {
  return /^[0-9a-f]{1,4}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN
}

const headerBytes = 20
/** A request without anything has 20; ICE adds less than 100 (section 6.1 keeps requests within a packet). */
const mostBytes = 548
const mostUnknown = 8
const magicCookie = 0x2112a442
const bindingRequest = 0x0001
const bindingSuccess = 0x0101
const bindingError = 0x0111
const xorMappedAddress = 0x0020
const errorCode = 0x0009
const unknownAttributesType = 0x000a
/** USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, USERHASH, PRIORITY, USE-CANDIDATE. */
const ignored: ReadonlySet<number> = new Set([0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001e, 0x0024, 0x0025])
