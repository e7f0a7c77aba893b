/**
 * What a path of chunks costs over loopback: one process sends the same chunk again and again to some receivers in another
 * process, which take it into one memory. Beside it bare sockets that do as much. By hand:
 * `node bench/micro/share-path.ts [chunk KiB]`.
 */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { crc32 } from "node:zlib"
import { emptyBytes } from "../../src/base/bytes.ts"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { segmentPool } from "../../src/base/segments.ts"
import type { Stream } from "../../src/base/stream.ts"
import { openSocketNet } from "../../src/capabilities/share/node/socket-net.ts"
import type { ChunkPath } from "../../src/capabilities/share/paths/chunk-path.ts"
import type { Pipe } from "../../src/base/pipe.ts"
import { streamPath } from "../../src/capabilities/share/paths/stream-path.ts"
import { streamPipe } from "../../src/capabilities/share/paths/stream-pipe.ts"
import { defaultLimits } from "../../src/mux/limits.ts"
import { Session } from "../../src/mux/session.ts"
import type { Link } from "../../src/mux/link.ts"
import { listenTcp, dialTcp } from "../../src/transport/tcp.ts"
import { SocketReader } from "../../src/sockets/socket-reader.ts"

type Way = "bare" | "path" | "session"

/** What the receiving process says when all has come. */
interface Used {
  readonly cpu: number
}

const never = new AbortController().signal
const runtime = {
  clock: systemClock,
  log: silentLog,
  defer: (callback: () => void) => void setImmediate(callback),
  checksum: (bytes: Uint8Array, seed: number) => crc32(bytes, seed),
  segments: segmentPool(64),
}

function session(link: Link, role: "dialer" | "acceptor", onStream: (stream: Stream) => void): Session {
  const made = new Session({
    id: "bench",
    role,
    limits: defaultLimits,
    peer: { windowBytes: defaultLimits.windowBytes, streams: defaultLimits.streams },
    runtime,
    onStream,
  })
  made.attachLink(link, 0, false, emptyBytes)
  return made
}

/** Calls `done` when so many bytes of chunks have come. */
function take(path: ChunkPath, memory: Uint8Array, bytes: number, done: () => void): void {
  path.attach({
    room: (_name, length) => memory.subarray(0, length),
    chunk() {
      if (path.receivedBytes === bytes) done()
    },
    asked: () => undefined,
    cancelled: () => undefined,
    refused: () => undefined,
    ready: () => undefined,
    closed: () => undefined,
  })
}

function give(path: ChunkPath, chunk: Uint8Array, bytes: number): void {
  let left = bytes
  const fill = () => {
    while (left > 0) {
      left -= chunk.length
      if (!path.send({ version: 1, chunk: 7 }, chunk)) return
    }
  }
  path.attach({
    room: () => undefined,
    chunk: () => undefined,
    asked: () => undefined,
    cancelled: () => undefined,
    refused: () => undefined,
    ready: fill,
    closed: () => undefined,
  })
  fill()
}

function cpuOf(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** The other process: dials so often, and takes `bytes` by each connection. */
async function receive(way: Way, port: number, count: number, bytes: number): Promise<void> {
  const memory = new Uint8Array(1_048_592)
  /** When all are connected. */
  const begun: NodeJS.CpuUsage[] = []
  let left = count
  const done = () => {
    if (--left > 0) return
    process.send?.({ cpu: cpuOf(begun[0] as NodeJS.CpuUsage) } satisfies Used)
    process.disconnect()
    setTimeout(() => process.exit(), 100)
  }
  const dialled = await openSocketNet({ listen: false, loopback: true })
  for (let at = 0; at < count; at++) {
    if (way === "bare") {
      const reader = new SocketReader()
      reader.borrows = true
      let got = 0
      reader.receive = (more) => {
        memory.set(more)
        got += more.length
        if (got === bytes) done()
        return false
      }
      await once(net.connect({ port, host: "127.0.0.1", onread: reader.onread }), "connect")
    } else if (way === "path") {
      take(streamPath(await dialled.dial([`127.0.0.1:${port}`], never)), memory, bytes, done)
    } else {
      const link = await dialTcp({ scheme: "tcp", host: "127.0.0.1", port }, { timeoutMs: 5_000 })
      const one = session(link, "dialer", () => undefined)
      take(streamPath(streamPipe(one.open("share/pieces", {}))), memory, bytes, done)
    }
  }
  begun.push(process.cpuUsage())
}

async function run(way: Way, count: number, chunkBytes: number, totalBytes: number): Promise<void> {
  const bytes = Math.ceil(totalBytes / count / chunkBytes) * chunkBytes
  const chunk = new Uint8Array(chunkBytes).fill(7)
  const senders: (() => void)[] = []
  const all = Promise.withResolvers<void>()
  const come = (begin: () => void) => {
    senders.push(begin)
    if (senders.length === count) all.resolve()
  }
  let port: number
  let close: () => Promise<void> | void
  if (way === "bare") {
    const server = net.createServer({ noDelay: true }, (socket) => come(() => pour(socket, chunk, bytes)))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    port = (server.address() as net.AddressInfo).port
    close = () => void server.close()
  } else if (way === "path") {
    const listening = await openSocketNet({ host: "127.0.0.1", loopback: true })
    listening.onPipe = (pipe: Pipe) => come(() => give(streamPath(pipe), chunk, bytes))
    port = Number(listening.addresses[0]?.split(":").at(-1))
    close = () => listening.close()
  } else {
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, (link) => {
      session(link, "acceptor", (stream) => come(() => give(streamPath(streamPipe(stream)), chunk, bytes)))
    })
    port = "port" in listener.address ? listener.address.port : 0
    close = () => listener.close()
  }
  const child: ChildProcess = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), "receive", way, String(port), String(count), String(bytes)],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  )
  await all.promise
  const [began, before] = [performance.now(), process.cpuUsage()]
  for (const begin of senders) begin()
  const [used] = (await once(child, "message")) as [Used]
  const seconds = (performance.now() - began) / 1000
  const gigabytes = (bytes * count) / 1e9
  const own = cpuOf(before)
  const what = `${{ bare: "bare sockets", path: "stream path", session: "path in a session" }[way]}, ${count} to`
  console.log(
    `${what.padEnd(26)} ${(gigabytes / seconds).toFixed(2)} GB/s, CPU-s per GB: ` +
      `sender ${(own / gigabytes).toFixed(3)}, receivers ${(used.cpu / gigabytes).toFixed(3)}`,
  )
  await once(child, "exit")
  await close()
}

function pour(socket: net.Socket, chunk: Uint8Array, bytes: number): void {
  let left = bytes
  const fill = () => {
    while (left > 0) {
      left -= chunk.length
      if (!socket.write(chunk)) return
    }
  }
  socket.on("drain", fill)
  socket.on("error", () => undefined)
  fill()
}

if (process.argv[2] === "receive") {
  const [, , , way, port, count, bytes] = process.argv
  await receive(way as Way, Number(port), Number(count), Number(bytes))
} else {
  const chunkBytes = Number(process.argv[2] ?? 256) * 1024 + 16
  for (const count of [1, 50]) {
    for (const way of ["bare", "path", "session"] as const) await run(way, count, chunkBytes, 8e9)
  }
  process.exit()
}
