/**
 * Length-prefixed frames over a bare socket, confirmed by counts: the least that a message and the receiver's answer can cost
 * in Node. Beside it no system of several parts can be faster; through a third process that passes bytes on, no broker.
 */

import * as net from "node:net"
import type { Adapter, Hear, Meeting, Outlet } from "./adapter.ts"
import { fail } from "./adapter.ts"

const headBytes = 4
const ackBytes = 4
const readBytes = 65_536

/** Both sides connect to a process that brings them together by name. */
export const framesRelayed: Adapter = {
  async produce(meeting) {
    return new FrameOutlet(await join(meeting, "p"))
  },
  async consume(meeting, hear) {
    answer(await join(meeting, "c"), hear)
  },
}

/** The consumers listen; the producer connects as often as there are consumers. */
export const framesDirect: Adapter = {
  async produce(meeting) {
    return new FrameOutlet(await open(meeting))
  },
  consume(meeting, hear) {
    if (meeting.index > 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const server = net.createServer({ noDelay: true }, (socket) => answer(new Wire(socket), hear))
      server.on("error", reject)
      server.listen({ ...meeting.place }, resolve)
    })
  },
}

/** Reads by events: accepted sockets cannot choose their memory. */
class Wire {
  heard: (bytes: Uint8Array) => void = () => undefined
  readonly socket: net.Socket

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on("data", (bytes: Buffer) => this.heard(bytes))
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") fail(error)
    })
  }
}

function open({ place }: Meeting): Promise<{ heard: (bytes: Uint8Array) => void; readonly socket: net.Socket }> {
  return new Promise((resolve, reject) => {
    const wire = { heard: (_: Uint8Array): void => undefined, socket: undefined as unknown as net.Socket }
    const memory = Buffer.allocUnsafeSlow(readBytes)
    const onread = {
      buffer: memory,
      callback(length: number) {
        wire.heard(memory.subarray(0, length))
        return true
      },
    }
    wire.socket = net.connect({ ...place, noDelay: true, onread } as net.NetConnectOpts, () => resolve(wire))
    wire.socket.on("error", reject)
  })
}

async function join(
  meeting: Meeting,
  role: string,
): Promise<{ heard: (bytes: Uint8Array) => void; readonly socket: net.Socket }> {
  const wire = await open(meeting)
  await new Promise<void>((resolve) => {
    wire.heard = () => resolve()
    wire.socket.write(`${role} ${meeting.name} ${meeting.index}\n`)
  })
  return wire
}

class FrameOutlet implements Outlet {
  readonly #socket: net.Socket
  readonly #waiting: (() => void)[] = []
  #first = 0
  #parts: Buffer[] = []
  #isHearing = false
  #partial = Buffer.alloc(0)
  #confirmed = 0

  constructor(wire: { heard: (bytes: Uint8Array) => void; readonly socket: net.Socket }) {
    this.#socket = wire.socket
    wire.heard = (bytes) => this.#hear(bytes)
  }

  send(bytes: Uint8Array, confirmed: () => void): void {
    this.#waiting.push(confirmed)
    const frame = Buffer.allocUnsafe(headBytes + bytes.length)
    frame.writeUInt32LE(bytes.length)
    frame.set(bytes, headBytes)
    this.#parts.push(frame)
    if (!this.#isHearing) this.#flush()
  }

  async pour(bytes: Uint8Array, going: () => boolean): Promise<number> {
    const size = headBytes + bytes.length
    const count = Math.max(1, Math.floor(readBytes / size))
    const block = Buffer.alloc(count * size)
    for (let at = 0; at < block.length; at += size) {
      block.writeUInt32LE(bytes.length, at)
      block.set(bytes, at + headBytes)
    }
    const before = this.#confirmed
    let sent = 0
    while (going()) {
      sent += count
      if (!this.#socket.write(block)) await new Promise((resolve) => this.#socket.once("drain", resolve))
    }
    while (this.#confirmed - before < sent) await new Promise((resolve) => setTimeout(resolve, 1))
    return sent
  }

  #flush(): void {
    const parts = this.#parts
    if (parts.length === 0) return
    this.#parts = []
    this.#socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts))
  }

  #hear(bytes: Uint8Array): void {
    const all =
      this.#partial.length === 0
        ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
        : Buffer.concat([this.#partial, bytes])
    let at = 0
    this.#isHearing = true
    for (; at + ackBytes <= all.length; at += ackBytes) this.#confirm(all.readUInt32LE(at))
    this.#isHearing = false
    this.#partial = Buffer.from(all.subarray(at))
    this.#flush()
  }

  #confirm(count: number): void {
    this.#confirmed += count
    for (let left = count; left > 0 && this.#first < this.#waiting.length; left--) {
      const confirmed = this.#waiting[this.#first++] as () => void
      confirmed()
    }
    if (this.#first > 4_096) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
  }
}

/** Counts frames without putting them together, and answers with how many each piece completed. */
function answer(wire: { heard: (bytes: Uint8Array) => void; readonly socket: net.Socket }, hear: Hear): void {
  const head = Buffer.alloc(headBytes)
  let [headLeft, bodyLeft, size] = [headBytes, 0, 0]
  wire.heard = (bytes) => {
    let [at, count] = [0, 0]
    while (at < bytes.length) {
      if (headLeft > 0) {
        head[headBytes - headLeft--] = bytes[at++] as number
        if (headLeft === 0) bodyLeft = size = head.readUInt32LE(0)
      } else {
        const step = Math.min(bodyLeft, bytes.length - at)
        at += step
        bodyLeft -= step
        if (bodyLeft > 0) continue
        headLeft = headBytes
        if (hear(size)) count++
        else wire.socket.pause()
      }
    }
    if (count === 0) return
    const ack = Buffer.allocUnsafe(ackBytes)
    ack.writeUInt32LE(count)
    wire.socket.write(ack)
  }
}
