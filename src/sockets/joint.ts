/**
 * Two connections as one pipe: bytes, back-pressure, half-close and reset pass both ways. What one side has ended, the
 * other may still answer. A reset is passed on as one, but never over bytes that wait to be sent.
 *
 * What was read is written at once, and while the other side takes no more, nothing is read. So a direction binds at most
 * one buffer of its reader, and as much as the two kernels hold. The one exception keeps that bound: the client's first
 * bytes for a target that is `untried` are held for one turn of the event loop, in which it may turn out to be dead.
 */

import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { cutSocket } from "./cut.ts"
import { whenSent } from "./cut-when-sent.ts"
import type { SocketReader } from "./socket-reader.ts"

/** One of the two connections. Its `allowHalfOpen` is set, it is paused, and nobody else listens to its events. */
export interface JointEnd {
  readonly stream: Duplex
  /** What it reads through, for sockets that have one. */
  readonly reader?: SocketReader | undefined
  /** The connection below, for a reset, which TLS has none of. */
  readonly below?: Socket | undefined
  /** Was read from it already, and goes on before anything else. */
  readonly first?: Uint8Array | undefined
  /** Of a target: it stood ready for a while, and may turn out to be dead; the watcher is told by `stale`. */
  readonly untried?: boolean | undefined
}

/** Bytes that have moved, for who limits their rate. */
export interface Meter {
  /** Counts them. False: stop reading, until `resume` of the lane. With 0 bytes it asks whether reading may begin. */
  spend(bytes: number): boolean
  /** How many bytes should be read at once, so that others get their turn in time. */
  readonly piece?: number
}

export type Side = "client" | "target"

/** The side that broke, and what the system said. */
export interface Breach {
  readonly side: Side
  readonly detail: string
}

/** Hears what becomes of it. */
export interface JointWatcher {
  /** The first bytes of this side have been passed on. */
  began(side: Side): void
  /** Both connections are gone; without a breach, both ended in good order. Called once. */
  closed(breach: Breach | undefined): void
  /**
   * An untried target was gone before a byte or a FIN was passed on, and has been dropped. The joint is over without a
   * `closed`; the client is as it was, paused, but for `unsent`, which was read from it.
   */
  stale(unsent: Uint8Array | undefined): void
}

export class Joint {
  /** From client to target, and back. */
  readonly up: Lane
  readonly down: Lane
  readonly #watcher: JointWatcher
  #open = 2
  #breach: Breach | undefined
  /** Nothing has gone to the target or come from it yet, and it may be dead. */
  isUntried: boolean

  /** With `noDelay` small writes are sent at once (TCP_NODELAY); it is set only where a second one follows the first. */
  constructor(client: JointEnd, target: JointEnd, watcher: JointWatcher, noDelay: boolean) {
    this.#watcher = watcher
    this.isUntried = target.untried === true
    this.up = new Lane(this, "client", client, target, noDelay)
    this.down = new Lane(this, "target", target, client, noDelay)
  }

  /** Begins to read both. */
  start(): void {
    this.up.start()
    this.down.start()
  }

  /** One side is over with its sending. */
  get isHalfClosed(): boolean {
    return this.up.ended || this.down.ended
  }

  /** Ends both at once, by reset; what waits is dropped. */
  cut(): void {
    this.isUntried = false
    cutEnd(this.up.from)
    cutEnd(this.down.from)
  }

  /** @internal Of a lane. */
  began(side: Side): void {
    this.#watcher.began(side)
  }

  /** @internal The other side of this one has sent its FIN. */
  pass(sink: Duplex): void {
    // When both have, there is nothing more to wait for: closing sends the FIN, and saves a system call of some twenty.
    if (this.up.ended && this.down.ended && isPlain(sink) && sink.writableLength === 0) sink.destroy()
    else sink.end()
  }

  /** @internal The first that fails tells how the whole ends. */
  fail(side: Side, detail: string): void {
    this.#breach ??= { side, detail }
  }

  /** @internal True when it was an untried target that ended or broke, which is nobody's loss. */
  isStale({ side }: Lane): boolean {
    return side === "target" && this.isUntried && !this.up.source.destroyed && this.giveUp(this.up.held)
  }

  /** @internal Lets go of a target that took nothing. */
  giveUp(unsent: Uint8Array | undefined): true {
    const { up, down } = this
    this.isUntried = false
    up.dismiss()
    down.dismiss()
    up.source.pause()
    down.source.destroy()
    this.#watcher.stale(unsent)
    return true
  }

  /** @internal A side is gone. */
  left(lane: Lane): void {
    const other = lane === this.up ? this.down : this.up
    this.isUntried = false
    this.#open--
    if (this.#open === 0) {
      this.#watcher.closed(this.#breach)
    } else if (this.#breach !== undefined || !(lane.ended && (lane.source.writableFinished || other.ended))) {
      this.#breach ??= { side: lane.side, detail: "closed" }
      other.halt()
      flushAndCut(other.from)
    }
  }
}

/** The first write of a connection goes out at once in any case, as long as it is one segment. */
const segmentBytes = 500

/** Smaller ones are left to the garbage collector. */
const largeBytes = 16_384

/**
 * Gives the memory of a chunk back at once, when it is the chunk's alone. Node allocates 64 KiB for each read of a socket;
 * left to the garbage collector, these make it walk through the whole heap tens of times a second.
 */
function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (byteLength >= largeBytes && buffer.byteLength === byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** A socket without TLS, whose `end` is no more than a FIN. */
function isPlain(stream: Duplex): boolean {
  return Object.getPrototypeOf(stream) === Socket.prototype
}

/** One direction. */
export class Lane {
  readonly #joint: Joint
  readonly side: Side
  readonly from: JointEnd
  readonly source: Duplex
  readonly #sink: Duplex
  /** That went through; also what the sink has not taken yet. */
  bytes = 0
  /** The source has sent its FIN, and all before it. */
  ended = false
  /** The sink takes no more; so many bytes wait for it. */
  waiting = 0
  /** The meter says that it moved enough for now. */
  paced = false
  meter: Meter | undefined
  /** Nagle's algorithm is off at the sink, or shall stay. */
  #isPrompt: boolean
  /** The first bytes, until we know as much of an untried target as the kernel does. */
  held: Uint8Array | undefined
  #kept: Uint8Array | undefined
  #isDismissed = false
  #isHalted = false
  /** It has ended behind the bytes that are held. */
  #endWaits = false

  constructor(joint: Joint, side: Side, from: JointEnd, to: JointEnd, noDelay: boolean) {
    this.#joint = joint
    this.side = side
    this.from = from
    this.source = from.stream
    this.#sink = to.stream
    this.#isPrompt = !(noDelay && isPlain(to.stream))
  }

  start(): void {
    const { source } = this
    const { reader, first } = this.from
    const joint = this.#joint
    if (reader !== undefined) reader.receive = (bytes) => this.#pass(bytes)
    else {
      source.on("data", (bytes: Buffer) => {
        if (!this.#isDismissed && !this.#pass(bytes)) freeMemory(bytes)
      })
    }
    source.on("end", this.#hearEnd)
    source.on("error", (error: NodeJS.ErrnoException) => {
      if (!this.#isDismissed && !joint.isStale(this)) joint.fail(this.side, error.code ?? error.message)
    })
    source.on("close", this.#hearClose)
    if (this.meter?.spend(0) === false) this.paced = true
    if (first !== undefined) {
      if (joint.isUntried) this.#hold(first)
      else this.#pass(first)
    }
    // What a stream says of its end it says once, paused too: who comes later looks.
    if (source.closed) process.nextTick(this.#hearClose)
    else if (source.readableEnded) process.nextTick(this.#hearEnd)
    else this.#goOn()
  }

  /** It passes nothing and tells nothing from now on. */
  dismiss(): void {
    this.#isDismissed = true
    this.held = undefined
  }

  /** What it would pass would reach nobody. */
  halt(): void {
    this.#isHalted = true
    this.source.pause()
  }

  /** After the meter said stop. */
  resume(): void {
    this.paced = false
    const { piece } = this.meter ?? {}
    if (piece !== undefined) this.from.reader?.limitTo(piece)
    this.#goOn()
  }

  #goOn(): void {
    // A target is read all the same while its first bytes are held: that is how we hear that it has gone.
    const waits = this.paced || this.waiting > 0 || (this.held !== undefined && this.side === "client")
    if (!waits && !this.#isHalted && !this.#isDismissed) this.source.resume()
  }

  readonly #hearEnd = (): void => {
    const joint = this.#joint
    if (this.#isDismissed || this.source.destroyed || joint.isStale(this)) return
    this.#endWaits = this.held !== undefined
    if (this.#endWaits) return
    joint.isUntried = false
    this.ended = true
    joint.pass(this.#sink)
  }

  readonly #hearClose = (): void => {
    const joint = this.#joint
    if (!this.#isDismissed && !joint.isStale(this)) {
      this.#passHeld()
      joint.left(this)
    }
    if (!this.#isDismissed || this.side === "target") this.from.reader?.release()
  }

  /** True when the sink still needs the memory. */
  #pass(bytes: Uint8Array): boolean {
    const sink = this.#sink
    if (this.bytes === 0 && this.#begin(bytes)) return true
    if (!this.#isPrompt && (this.bytes > 0 || bytes.length > segmentBytes)) this.#makePrompt()
    this.bytes += bytes.length
    sink.write(bytes, this.#taken)
    if (this.meter?.spend(bytes.length) === false) {
      this.paced = true
      this.source.pause()
    }
    if (sink.writableLength === 0) return false
    this.waiting = bytes.length
    this.#kept = bytes
    this.source.pause()
    return true
  }

  /** True: these bytes have to wait. */
  #begin(bytes: Uint8Array): boolean {
    const joint = this.#joint
    if (joint.isUntried) {
      if (this.side === "client") {
        this.source.pause()
        this.#hold(bytes)
        return true
      }
      // It lives.
      joint.isUntried = false
    }
    if (this.held !== undefined) this.#passHeld()
    else joint.began(this.side)
    return false
  }

  /** For one turn of the loop: an end or a reset of the target that has arrived already is heard first. */
  #hold(bytes: Uint8Array): void {
    this.held = bytes
    setImmediate(() => {
      if (this.held === undefined) return
      const mayFail = this.#joint.isUntried && this.side === "client"
      this.#passHeld()
      // It failed at once, so the kernel took none of it.
      if (mayFail && this.#sink.errored !== null && !this.source.destroyed) this.#joint.giveUp(bytes)
      else if (this.#endWaits) this.#hearEnd()
      else this.#goOn()
    })
  }

  #passHeld(): void {
    const { held } = this
    if (held === undefined) return
    this.held = undefined
    this.#joint.isUntried = false
    this.#pass(held)
  }

  #makePrompt(): void {
    this.#isPrompt = true
    if (this.#sink instanceof Socket) this.#sink.setNoDelay(true)
  }

  /** Behind each write; most are taken at once, and then nobody waits for it. */
  readonly #taken = (): void => {
    // After a write that failed, the bytes are somebody else's, who sends them again.
    if (this.waiting === 0 || this.#sink.writableLength > 0 || this.#isDismissed) return
    this.waiting = 0
    const kept = this.#kept as Uint8Array
    this.#kept = undefined
    const { reader } = this.from
    if (reader === undefined) freeMemory(kept)
    else reader.recycle(kept)
    this.#goOn()
  }
}

/** Sends what waits, and then a reset; no FIN, because the peer must not take what it has for all there is. */
function flushAndCut(end: JointEnd): void {
  const { stream, below = stream } = end
  whenSent(stream, below instanceof Socket ? below : undefined, () => cutEnd(end))
}

/** Ends it at once, by a reset where it has one; what waits is dropped. */
export function cutEnd({ stream, below }: JointEnd): void {
  if (below !== undefined && !stream.destroyed) {
    cutSocket(below)
    stream.destroy()
  } else if (stream instanceof Socket) cutSocket(stream)
  else stream.destroy()
}
