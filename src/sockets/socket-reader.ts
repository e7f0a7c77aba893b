/**
 * Memory for reading sockets. Node allocates 64 KiB for each read of a socket unless it is given a buffer (`onread`).
 * A quiet connection reads into one buffer that all share, and what arrives is copied out at once, so that it holds no
 * memory of its own. A connection that fills the shared buffer gets a large one, whose bytes are delivered in place:
 * memory that the sink did not keep is read into again, memory that it kept is not touched before the sink gives it back.
 *
 * `onread` is a public option of sockets that we make. A server makes its sockets without it; `adoptSocket` moves the
 * handle of such a socket into one of ours. That step is not public: it is tried out once per process, and where it does
 * not work the sockets are read by plain `data` events.
 */

import * as net from "node:net"

/** Measured on loopback: reads grow no faster above 256 KiB, and small ones lose nothing with 64 KiB. */
const sharedBytes = 65536
const ownBytes = 262144
/** Up to this size a copy costs less than what it would pin: a kept read never holds more than four times its bytes. */
const copyBytes = 65536
/** So many small reads in a row, and a connection is quiet again. */
const quietReads = 32
/** Reads up to this size are small: a connection that has only such ones is quiet. */
const smallBytes = 4096
/** How many large buffers wait for the next busy connection: 4 MiB. */
const spareCount = 16

// Process-wide on purpose: a buffer is written and read within one callback, so all connections can share it.
const shared = Buffer.allocUnsafeSlow(sharedBytes)
const spares: Buffer[] = []

export class SocketReader {
  /** Takes the bytes and tells whether it kept them; set before the socket starts to read. */
  receive: (bytes: Uint8Array) => boolean = () => true
  /** True promises that `receive` never keeps what it gets: then small reads need no copy either. */
  borrows = false
  /** For the next read that is begun, and for the one that is under way: the system has it already. */
  #buffer: Buffer = shared
  #lent: Buffer = shared
  #quiet = 0

  /** The option of that name for `net.connect` and `new net.Socket`. */
  readonly onread: net.OnReadOpts = {
    buffer: () => (this.#lent = this.#buffer),
    callback: (length) => {
      this.#take(length)
      return true
    },
  }

  /** Reads no more than this at once, after the next read: a slow pace is kept by small steps. May be called again. */
  limitTo(bytes: number): void {
    const isLimited = this.#buffer !== shared && this.#buffer.buffer === shared.buffer
    if (bytes >= ownBytes) {
      if (isLimited) this.#buffer = shared
      return
    }
    const size = Math.max(1, Math.min(bytes, sharedBytes))
    // A view of its own, also of the whole: only what is not limited grows.
    if (!isLimited || this.#buffer.length !== size) this.#buffer = shared.subarray(0, size)
  }

  /** Gives the large buffer back; after the socket has closed. */
  release(): void {
    const buffer = this.#buffer
    this.#buffer = shared
    if (buffer.length === ownBytes && spares.length < spareCount) spares.push(buffer)
  }

  /** Takes memory back that `receive` had kept; nobody looks into it any more. */
  recycle(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength === ownBytes && spares.length < spareCount) spares.push(Buffer.from(bytes.buffer))
  }

  #take(length: number): void {
    const buffer = this.#lent
    if (buffer.buffer === shared.buffer) {
      if (length === sharedBytes && buffer === shared && this.#buffer === shared) {
        this.#buffer = spares.pop() ?? Buffer.allocUnsafeSlow(ownBytes)
        this.#quiet = 0
      }
      this.receive(this.borrows ? plainBytes(buffer, length) : copyOf(buffer, length))
    } else if (length <= copyBytes) {
      this.#quiet = length <= smallBytes ? this.#quiet + 1 : 0
      if (this.#quiet >= quietReads && this.#buffer === buffer) this.release()
      this.receive(this.borrows ? plainBytes(buffer, length) : copyOf(buffer, length))
    } else {
      this.#quiet = 0
      // Kept: the memory is the sink's until it comes back by `recycle`.
      const isKept = this.receive(plainBytes(buffer, length))
      if (isKept && this.#buffer === buffer) this.#buffer = spares.pop() ?? Buffer.allocUnsafeSlow(ownBytes)
    }
  }
}

/**
 * The same connection behind a socket that reads through `reader`, or undefined when that is not possible: then the
 * given socket is untouched. The given socket is dead afterwards. Nothing may be buffered in it.
 */
export function adoptSocket(socket: net.Socket, reader: SocketReader): net.Socket | undefined {
  return adoptionWorks === true ? moveHandle(socket, reader) : undefined
}

let adoptionWorks: boolean | undefined
let trial: Promise<boolean> | undefined

/** Tries adoption out, once per process; listeners await it before they take connections. */
export function tryAdoption(): Promise<boolean> {
  trial ??= runTrial().then((works) => (adoptionWorks = works))
  return trial
}

/** The parts of Node's sockets that are not public and that adoption needs. */
interface Handle {
  readonly useUserBuffer?: unknown
  readonly readStop?: unknown
}

interface ServerSocket extends net.Socket {
  _handle: Handle | null
  /** The server counts a connection until the socket with this field closes. */
  _server: net.Server | null
}

function moveHandle(socket: net.Socket, reader: SocketReader): net.Socket | undefined {
  const old = socket as ServerSocket
  const handle = old._handle
  if (typeof handle?.useUserBuffer !== "function" || typeof handle.readStop !== "function") return undefined
  if (socket.destroyed || socket.connecting || socket.readableLength > 0 || socket.writableLength > 0) return undefined
  if (socket.readableEnded || socket.writableEnded) return undefined
  const options = { handle, onread: reader.onread, allowHalfOpen: true, pauseOnCreate: true }
  const fresh = new net.Socket(options as object) as ServerSocket
  fresh._server = old._server
  old._server = null
  old._handle = null
  return fresh
}

async function runTrial(): Promise<boolean> {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const client = new net.Socket()
  try {
    return await new Promise<boolean>((resolve) => {
      const deadline = setTimeout(() => resolve(false), 1000)
      const finish = (works: boolean) => {
        clearTimeout(deadline)
        resolve(works)
      }
      server.on("error", () => finish(false))
      client.on("error", () => finish(false))
      server.on("connection", (accepted) => {
        const reader = new SocketReader()
        let text = ""
        reader.receive = (bytes) => {
          text += Buffer.from(bytes).toString("latin1")
          return false
        }
        const fresh = moveHandle(accepted, reader)
        if (fresh === undefined) {
          accepted.destroy()
          finish(false)
          return
        }
        fresh.on("error", () => finish(false))
        // Both directions and the end have to pass.
        fresh.on("end", () => fresh.end(text))
        fresh.resume()
      })
      let echo = ""
      client.on("data", (bytes) => (echo += bytes.toString("latin1")))
      client.on("end", () => finish(echo === "trial"))
      server.listen({ port: 0, host: "127.0.0.1" }, () => {
        client.connect((server.address() as net.AddressInfo).port, "127.0.0.1")
        client.end("trial")
      })
    })
  } catch {
    // Whatever went wrong inside Node's internals: plain reading works.
    return false
  } finally {
    client.destroy()
    server.close()
  }
}

function copyOf(buffer: Buffer, length: number): Uint8Array {
  const copy = Buffer.allocUnsafe(length)
  buffer.copy(copy, 0, 0, length)
  return plainBytes(copy, length)
}

/** What leaves this folder is a plain array: `slice` of a `Buffer` does not copy, and others rely on copies. */
export function plainBytes(buffer: Buffer, length: number = buffer.length): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, length)
}
