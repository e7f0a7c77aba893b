import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { isSent, unsentBytes } from "./send-queue.ts"

/** As Linux prints it on a machine with the low byte first; what is behind the queues does not matter. */
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 1
   1: 0100007F:1F90 0200007F:C350 01 0000002A:00000007 01:00000014 00000000     0        0 2
9999: 0200007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 3
  sl  local_address                         remote_address                        st tx_queue rx_queue tr
   0: 00000000000000000000000001000000:1F90 00000000000000000000000002000000:C351 01 00001000:00000000 00
10000: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000200007F:C352 08 00000001:00000000 00
   2: 000080FE00000000FF005450B6BD1DFE:01BB B80D0120000000000000000001000000:FFFF 01 DEADBEEF:00000000 00`

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

function ends(localAddress: string, localPort: number, remoteAddress: string, remotePort: number) {
  return { localAddress, localPort, remoteAddress, remotePort }
}

test("of each connection the table tells what waits: IPv4, IPv6, and IPv4 in IPv6", { skip: !little }, () => {
  const cases = [
    [ends("127.0.0.1", 8080, "127.0.0.2", 50_000), 42],
    [ends("127.0.0.2", 50_000, "127.0.0.1", 8080), 0],
    [ends("::1", 8080, "::2", 50_001), 4096],
    [ends("::ffff:127.0.0.1", 80, "::ffff:127.0.0.2", 50_002), 1],
    [ends("fe80::5054:ff:fe1d:bdb6%eth0", 443, "2001:db8::1", 65_535), 0xdeadbeef],
    [ends("127.0.0.1", 8080, "127.0.0.3", 50_000), undefined],
    [{ localAddress: undefined, localPort: undefined, remoteAddress: undefined, remotePort: undefined }, undefined],
  ] as const
  const sockets = cases.map(([socket]) => socket)
  const found = unsentBytes(table, sockets)
  assert.deepEqual(
    sockets.map((socket) => found.get(socket)),
    cases.map(([, bytes]) => bytes),
  )
  assert.equal(unsentBytes("", sockets).size, 0)
  assert.equal(unsentBytes("\n\n: \nnonsense: 12", sockets).size, 0)
})

test("a thousand that ask at once among fifty thousand cost one look at the table", { skip: !little }, () => {
  const lines: string[] = []
  for (let port = 0; port < 50_000; port++) {
    const end = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`
    lines.push(
      `${port}: ${end} 0200007F:1F90 01 00000001:00000000 00:00000000 00000000     0        0 1 1 ${"0".repeat(60)}`,
    )
  }
  const text = lines.join("\n")
  const asked = Array.from({ length: 1000 }, (_, at) => ends("127.0.0.1", 49_999 - at, "127.0.0.2", 8080))
  const startedAt = performance.now()
  assert.equal(unsentBytes(text, asked).size, 1000)
  const ms = performance.now() - startedAt
  // One search for each would take seconds.
  assert.ok(ms < 400, `${ms} ms`)
})

async function pair(t: TestContext, host: string): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, host)
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  const near = connect({ port, host: host === "::" ? "127.0.0.1" : host })
  const [far] = (await once(server, "connection")) as [Socket]
  t.after(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far }
}

function ask(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => isSent(socket, resolve))
}

for (const host of ["127.0.0.1", "::1", "::"]) {
  test(`what a peer on ${host} does not take is not sent`, { skip: process.platform !== "linux" }, async (t) => {
    const { near, far } = await pair(t, host)
    // The accepted side: with `::` its addresses are IPv4 in IPv6.
    far.write(Buffer.alloc(16 * 1024 * 1024))
    assert.equal(await ask(far), false)
    near.resume()
    await new Promise((resolve) => far.write("", resolve))
    while (!(await ask(far)));
  })
}

test(
  "a question is not answered by a table that was read before it",
  { skip: process.platform !== "linux" },
  async (t) => {
    const { far } = await pair(t, "127.0.0.1")
    const before = ask(far)
    // Its reading is under way, and has not seen this.
    far.write(Buffer.alloc(16 * 1024 * 1024))
    const after = ask(far)
    await before
    assert.equal(await after, false)
  },
)
