/**
 * Peers that acknowledge nothing any more, although something was sent to them: their machine is gone, or the way to it.
 * The system gives such a connection up after a quarter of an hour; keep-alive probes are not sent while bytes wait for an
 * acknowledgement, and Node.js has no TCP_USER_TIMEOUT. Linux shows how often it has repeated itself.
 */

import { readFile } from "node:fs/promises"
import { SocketAddress } from "node:net"
import { printHostPort } from "./address.ts"

const tables = [
  { file: "/proc/self/net/tcp", family: "ipv4" },
  { file: "/proc/self/net/tcp6", family: "ipv6" },
] as const

/**
 * Those to whom bytes were repeated at least so often without an answer, as `host:port`. Each time the pause doubles, from
 * 200 ms where the network is fast: seven take 25 to 50 seconds. None on other systems than Linux.
 */
export async function vanishedPeers(repeats: number): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for (const { file, family } of tables) {
    const table = await readFile(file, "latin1").catch(() => "")
    for (const peer of repeatedTo(table, family, repeats)) found.add(peer)
  }
  return found
}

/** The same of one table; proc_net_tcp in the kernel's documentation tells the columns. */
export function* repeatedTo(table: string, family: "ipv4" | "ipv6", repeats: number): Generator<string> {
  for (const line of table.split("\n").slice(1)) {
    const [, , remote = "", state, queues, , retransmits = "0"] = line.trim().split(/\s+/)
    if (state !== established || queues?.startsWith("00000000:") !== false) continue
    if (Number.parseInt(retransmits, 16) < repeats) continue
    const [address = "", port = "0"] = remote.split(":")
    yield printHostPort(addressOf(address, family), Number.parseInt(port, 16))
  }
}

const established = "01"

/** Words of 32 bits, each in the order of a little-endian machine. */
function addressOf(hex: string, family: "ipv4" | "ipv6"): string {
  const bytes = Buffer.from(hex, "hex")
  bytes.swap32()
  if (family === "ipv4") return bytes.join(".")
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16))
  // As sockets print it.
  return new SocketAddress({ address: groups.join(":"), family }).address
}
