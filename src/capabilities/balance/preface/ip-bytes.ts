/**
 * IP addresses between text and bytes. The text is the one that sockets give (RFC 5952), and an IPv4 address within IPv6
 * (`::ffff:1.2.3.4`) is the IPv4 address: one client has one name, however it came here.
 */

import { isIPv4, isIPv6 } from "node:net"

/** 4 or 16 bytes; a zone (`%eth0`) does not count. Undefined for what is no address. */
export function ipBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number)
  if (!isIPv6(text)) return undefined
  const bytes = ipv6Bytes(text.split("%", 1)[0] as string)
  return isMapped(bytes, 0) ? bytes.subarray(12) : bytes
}

/** Of 4 or 16 bytes from `at` on. */
export function ipText(bytes: Uint8Array, at: number, length: 4 | 16): string {
  if (length === 4) return ipv4Text(bytes, at)
  return isMapped(bytes, at) ? ipv4Text(bytes, at + 12) : ipv6Text(bytes, at)
}

/** 16 bytes, an IPv4 address within IPv6. */
export function widened(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes)
}

/** The longest run of two or more zero groups is left out, the first of equal ones (RFC 5952 section 4.2). */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups: number[] = []
  let [bestAt, bestLength, runLength] = [-1, 1, 0]
  for (let index = 0; index < 8; index++) {
    const group = ((bytes[at + 2 * index] as number) << 8) | (bytes[at + 2 * index + 1] as number)
    groups.push(group)
    runLength = group === 0 ? runLength + 1 : 0
    if (runLength > bestLength) [bestAt, bestLength] = [index - runLength + 1, runLength]
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":")
  if (bestAt < 0) return hex(groups)
  return `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}`
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = "", tail] = text.split("::")
  const left = groupBytes(head)
  const right = groupBytes(tail ?? "")
  const bytes = new Uint8Array(16)
  bytes.set(left)
  bytes.set(right, 16 - right.length)
  return bytes
}

function groupBytes(part: string): number[] {
  if (part === "") return []
  return part.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  })
}

function ipv4Text(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < 10; index++) if (bytes[at + index] !== 0) return false
  return bytes[at + 10] === 255 && bytes[at + 11] === 255
}
