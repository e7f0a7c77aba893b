import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import * as net from "node:net"
import { describe, test } from "node:test"
import * as tls from "node:tls"
import type { Link } from "../mux/link.ts"
import { makeCertificate } from "../../test/kit/certificates.ts"
import { linkSuite } from "../../test/suites/link-suite.ts"
import { dialWebSocketFromNode } from "./ws-dial.ts"
import { acceptWebSocket } from "./ws-listen.ts"
import { dialWebSocket } from "./ws.ts"

const made = makeCertificate()

async function serve(
  onLink: (link: Link) => void,
  onRefused: (error: Error) => void = () => undefined,
  secure = false,
): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<net.Socket>()
  const take = (socket: net.Socket) => {
    sockets.add(socket.on("error", () => undefined))
    socket.once("data", (bytes: Buffer) => {
      socket.pause()
      const end = bytes.indexOf("\r\n\r\n")
      const [line = "", ...fields] = bytes.subarray(0, end).toString("latin1").split("\r\n")
      const [method = "", url = ""] = line.split(" ")
      const headers = fields.flatMap((field) => [
        field.slice(0, field.indexOf(":")),
        field.slice(field.indexOf(":") + 1).trim(),
      ])
      try {
        onLink(acceptWebSocket(socket, { method, url, headers }, bytes.subarray(end + 4)))
      } catch (error) {
        onRefused(error as Error)
      }
    })
  }
  const server = secure
    ? tls.createServer({ cert: made.cert, key: made.key, ALPNProtocols: ["http/1.1"] }, take)
    : net.createServer(take)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const at = (port: number, scheme: "ws" | "wss" = "ws") =>
  ({ scheme, host: "127.0.0.1", port, path: "/.rdv/session" }) as const

linkSuite(
  "ws (global WebSocket)",
  async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve(accepted.resolve)
    const near = await dialWebSocket(at(server.port), { timeoutMs: 2000 })
    return { near, far: await accepted.promise, cleanUp: () => server.close() }
  },
  { nearPauses: false },
)

linkSuite("ws (from Node)", async () => {
  const accepted = Promise.withResolvers<Link>()
  const server = await serve(accepted.resolve)
  const near = await dialWebSocketFromNode(at(server.port), { timeoutMs: 2000 })
  return { near, far: await accepted.promise, cleanUp: () => server.close() }
})

linkSuite("wss (from Node)", async () => {
  const accepted = Promise.withResolvers<Link>()
  const server = await serve(accepted.resolve, undefined, true)
  const near = await dialWebSocketFromNode(at(server.port, "wss"), { timeoutMs: 2000, ca: made.ca })
  return { near, far: await accepted.promise, cleanUp: () => server.close() }
})

/** A client made of bytes, for what no proper client sends. */
async function rawClient(port: number, frames: Buffer, protocol = "rdv.1"): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1").on("error", () => undefined)
  const head =
    `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`
  socket.write(Buffer.concat([Buffer.from(head), frames]))
  if (frames.length > 0) socket.resume()
  return socket
}

/** A masked frame with a mask of zeros. */
function frame(opcode: number, payload: string, announced: number = payload.length): Buffer {
  const head = announced < 126 ? Buffer.from([opcode, 0x80 | announced, 0, 0, 0, 0]) : Buffer.alloc(14)
  if (announced >= 126) {
    head[0] = opcode
    head[1] = 0x80 | 127
    head.writeBigUInt64BE(BigInt(announced), 2)
  }
  return Buffer.concat([head, Buffer.from(payload)])
}

describe("ws", () => {
  const outcome = (link: Link) =>
    new Promise<{ text: string; code: string | undefined }>((resolve) => {
      let text = ""
      link.attach({
        data: (bytes) => ((text += Buffer.from(bytes).toString()), false),
        drain() {},
        closed: (error) => resolve({ text, code: error?.code }),
      })
    })

  test("frames that arrive with the request, or cut into fragments, are delivered", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve(accepted.resolve)
    const frames = [frame(0x82, "one "), frame(0x02, "tw"), frame(0x80, "o"), frame(0x88, "\x03\xe8".slice(0, 0))]
    await rawClient(server.port, Buffer.concat(frames))
    assert.deepEqual(await outcome(await accepted.promise), { text: "one two", code: "link_lost" })
    server.close()
  })

  test("text is refused", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve(accepted.resolve)
    await rawClient(server.port, frame(0x81, "hello"))
    assert.deepEqual(await outcome(await accepted.promise), { text: "", code: "protocol" })
    server.close()
  })

  test("a message that announces too much is refused before it is read", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve(accepted.resolve)
    await rawClient(server.port, frame(0x82, "", 1_048_577))
    assert.deepEqual(await outcome(await accepted.promise), { text: "", code: "link_lost" })
    server.close()
  })

  test("a handshake without our subprotocol is answered with 400", async () => {
    const refused = Promise.withResolvers<Error>()
    const server = await serve(() => assert.fail("accepted"), refused.resolve)
    const socket = await rawClient(server.port, Buffer.alloc(0), "chat")
    const answer = await new Promise((resolve) => socket.once("data", (bytes) => resolve(String(bytes))))
    assert.match(String(answer), /^HTTP\/1\.1 400 /)
    assert.match((await refused.promise).message, /rdv\.1 is not offered/)
    server.close()
  })

  test("a refused dial says so, from Node and by the global", async () => {
    const server = await serve(() => undefined)
    server.close()
    await assert.rejects(dialWebSocket(at(server.port), { timeoutMs: 2000 }), { code: "unreachable" })
    await assert.rejects(dialWebSocketFromNode(at(server.port), { timeoutMs: 2000 }), {
      code: "unreachable",
      message: /refused/,
    })
  })

  test("a page's link gives up when too much arrives in a pause", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve(accepted.resolve)
    const near = await dialWebSocket(at(server.port), { timeoutMs: 2000 })
    near.pause()
    const result = outcome(near)
    const far = await accepted.promise
    const ended = outcome(far)
    for (let turn = 0; turn < 17; turn++) far.send([Buffer.alloc(1_048_576)])
    assert.equal((await result).code, "limit")
    assert.equal((await ended).code, "link_lost")
    server.close()
  })

  test("another server's answer to the handshake is quoted", async () => {
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined)
      socket.once("data", () => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as net.AddressInfo
    await assert.rejects(dialWebSocketFromNode(at(port), { timeoutMs: 2000 }), { message: /answered "403 Forbidden"/ })
    server.close()
  })

  test("bulk in large parts is cut into messages that the other side takes", async () => {
    const accepted = Promise.withResolvers<Link>()
    const server = await serve(accepted.resolve)
    const near = await dialWebSocket(at(server.port), { timeoutMs: 2000 })
    const far = await accepted.promise
    const whole = Buffer.alloc(5_000_000, "rendezvous")
    const hash = createHash("sha256")
    let count = 0
    const done = new Promise<void>((resolve) => {
      far.attach({
        data(bytes) {
          hash.update(bytes)
          count += bytes.length
          if (count === whole.length) resolve()
          return false
        },
        drain() {},
        closed() {},
      })
    })
    near.attach({ data: () => false, drain() {}, closed() {} })
    near.send([whole])
    await done
    assert.equal(hash.digest("hex"), createHash("sha256").update(whole).digest("hex"))
    far.close()
    server.close()
  })
})
