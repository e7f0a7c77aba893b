/**
 * Reads or sends large bodies on raw sockets, at the least cost that Node can have: one buffer per connection that every
 * read overwrites, one block that every write sends again. It prints bytes, seconds, first byte and its own CPU time.
 */

import * as net from "node:net"
import { HeadReader } from "./head-reader.ts"

interface Transfer {
  readonly host: string
  readonly port: number
  readonly hostHeader: string
  readonly path: string
  /** Of one body that is sent. */
  readonly bytes: number
  /** 0: until we are stopped. */
  readonly times: number
  readonly parallel: number
  readonly up: boolean
  /** Reads no faster than this. */
  readonly bytesPerSecond?: number
}

interface Result {
  readonly bytes: number
  readonly firstByteMs: number
}

const transfer = JSON.parse(process.argv[2] ?? "{}") as Transfer
const block = Buffer.alloc(256 * 1024, "z")
const results: Result[] = []
const started = performance.now()
await Promise.all(Array.from({ length: transfer.parallel }, lane))
const seconds = (performance.now() - started) / 1000
const { user, system } = process.cpuUsage()
const firstBytes = results.map(({ firstByteMs }) => firstByteMs).toSorted((a, b) => a - b)
process.stdout.write(
  `${JSON.stringify({
    bytes: results.reduce((sum, { bytes }) => sum + bytes, 0),
    seconds,
    firstByteMs: firstBytes[Math.floor(firstBytes.length / 2)] ?? 0,
    cpuSeconds: (user + system) / 1e6,
  })}\n`,
)

async function lane(): Promise<void> {
  for (let turn = 0; transfer.times === 0 || turn < transfer.times; turn++) {
    results.push(await (transfer.up ? send() : read()))
    if (transfer.times === 0) results.length = 0
  }
}

function read(): Promise<Result> {
  return new Promise((resolve, reject) => {
    const begun = performance.now()
    const head = new HeadReader(transfer.path)
    let firstByteMs = 0
    let bytes = 0
    const slow = transfer.bytesPerSecond
    // A slow reader asks for little, or the buffer would swallow seconds of its rate.
    const buffer = Buffer.allocUnsafeSlow(slow === undefined ? 256 * 1024 : slow)
    const socket = net.connect({
      host: transfer.host,
      port: transfer.port,
      onread: {
        buffer,
        callback: (length) => {
          firstByteMs ||= performance.now() - begun
          bytes += head.done ? length : head.push(buffer.subarray(0, length))
          if (slow !== undefined) {
            setTimeout(() => socket.resume(), (length / slow) * 1000)
            return false
          }
          if (head.done && bytes >= head.length) {
            socket.destroy()
            resolve({ bytes, firstByteMs })
          }
          return true
        },
      },
    })
    socket.on("error", reject)
    socket.on("close", () => reject(new Error(`The connection ended after ${bytes} of ${head.length} bytes`)))
    socket.write(`GET ${transfer.path} HTTP/1.1\r\nHost: ${transfer.hostHeader}\r\n\r\n`)
  })
}

function send(): Promise<Result> {
  return new Promise((resolve, reject) => {
    const head = new HeadReader(transfer.path)
    let left = transfer.bytes
    const socket = net.connect({ host: transfer.host, port: transfer.port, noDelay: true })
    const more = (): void => {
      while (left > 0) {
        const piece = left >= block.length ? block : block.subarray(0, left)
        left -= piece.length
        if (!socket.write(piece)) return
      }
    }
    socket.on("drain", more)
    socket.on("data", (bytes: Buffer) => {
      head.push(bytes)
      if (!head.done) return
      socket.destroy()
      if (left > 0) reject(new Error(`Answered with ${left} bytes still to be sent`))
      else resolve({ bytes: transfer.bytes, firstByteMs: 0 })
    })
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("The connection ended without an answer")))
    socket.write(
      `POST ${transfer.path} HTTP/1.1\r\nHost: ${transfer.hostHeader}\r\nContent-Length: ${transfer.bytes}\r\n\r\n`,
    )
    more()
  })
}
