/**
 * Whether the peer's kernel has all that was written to a socket. A reset drops what the own kernel still has to send, and
 * Node does not tell how much that is; Linux does, in a table of all connections (proc_pid_net(5), `tx_queue`: bytes that
 * are not acknowledged). One reading of it serves all who have asked before it began.
 */

import { readFile } from "node:fs/promises"
import { isIPv6 } from "node:net"
import type { Socket } from "node:net"

type Ask = { readonly socket: Socket; readonly tell: (sent: boolean) => void }

let waiting: Ask[] = []
let isReading = false

/** Where the system has no such table, a moment has to do; then, and of a socket that is not in it, the answer is yes. */
export function isSent(socket: Socket, tell: (sent: boolean) => void): void {
  waiting.push({ socket, tell })
  if (!isReading) read()
}

/** Who asks while it goes on waits for the next one: what it wrote may not be in this one. */
function read(): void {
  isReading = true
  const asked = waiting
  waiting = []
  void readTables().then((tables) => answer(tables, asked))
}

/** What a connection on a fast network takes to deliver, where nothing better is known, ms. */
const momentMs = 100

async function readTables(): Promise<string> {
  if (process.platform !== "linux") {
    await new Promise((resolve) => setTimeout(resolve, momentMs))
    return ""
  }
  const tables = await Promise.all(
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map((file) => readFile(file, "latin1").catch(() => "")),
  )
  return tables.join("")
}

function answer(tables: string, asked: readonly Ask[]): void {
  isReading = false
  if (waiting.length > 0) read()
  const unsent = unsentBytes(
    tables,
    asked.map(({ socket }) => socket),
  )
  for (const { socket, tell } of asked) tell((unsent.get(socket) ?? 0) === 0)
}

/** Where a connection begins and ends. */
export interface Ends {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

/**
 * Of those that are in the tables, in one pass over them: many may ask at once, of many.
 *
 * `  12: 0100007F:1F90 0100007F:C350 01 00000000:00000000 …`: local, remote, state, tx_queue:rx_queue, all in hex.
 *
 * @internal For tests.
 */
export function unsentBytes<Of extends Ends>(tables: string, sockets: readonly Of[]): Map<Of, number> {
  const wanted = new Map<string, Of>()
  for (const socket of sockets) {
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    if (localAddress === undefined || localPort === undefined) continue
    if (remoteAddress === undefined || remotePort === undefined) continue
    wanted.set(`${endText(localAddress, localPort)} ${endText(remoteAddress, remotePort)}`, socket)
  }
  const found = new Map<Of, number>()
  for (let from = 0, to; from < tables.length && found.size < wanted.size; from = to + 1) {
    to = tables.indexOf("\n", from)
    if (to < 0) to = tables.length
    const begin = tables.indexOf(": ", from) + 2
    // Behind the two ends with their colons and ports: IPv4 has 8 digits, IPv6 32.
    const length = tables[begin + 8] === ":" ? 2 * 13 + 1 : 2 * 37 + 1
    const socket = wanted.get(tables.slice(begin, begin + length))
    if (socket === undefined) continue
    const queue = begin + length + " 01 ".length
    found.set(socket, Number.parseInt(tables.slice(queue, queue + 8), 16))
  }
  return found
}

function endText(address: string, port: number): string {
  return `${addressHex(address)}:${hex(port, 4)}`
}

/** As the kernel prints it: each word of 32 bits as this machine's byte order has it. */
function addressHex(address: string): string {
  const bytes = isIPv6(address) ? ipv6Bytes(address) : address.split(".").map(Number)
  let text = ""
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.slice(at, at + 4)
    if (littleEndian) word.reverse()
    text += word.map((byte) => hex(byte, 2)).join("")
  }
  return text
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

function ipv6Bytes(address: string): number[] {
  const [plain = ""] = address.split("%")
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain)
  const text =
    dotted === null
      ? plain
      : `${dotted[1]}${hex((Number(dotted[2]) << 8) | Number(dotted[3]), 4)}:${hex((Number(dotted[4]) << 8) | Number(dotted[5]), 4)}`
  const [head = "", tail] = text.split("::")
  const words = (part: string) => (part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16)))
  const [first, last] = [words(head), words(tail ?? "")]
  const gap = tail === undefined ? 0 : 8 - first.length - last.length
  return [...first, ...Array.from<number>({ length: gap }).fill(0), ...last].flatMap((word) => [word >> 8, word & 255])
}

function hex(number: number, width: number): string {
  return number.toString(16).toUpperCase().padStart(width, "0")
}
