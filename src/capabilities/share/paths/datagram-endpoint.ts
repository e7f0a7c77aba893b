/**
 * One socket, and all paths over it: hellos in both directions, and each packet to its path. Who dials says hello to all
 * addresses of the other side until one answers; who is dialled answers, and has a path when it sees that the other side
 * is there now and did not only send a recording. If both dial each other at the same moment, there is one path.
 */

import { equalConstantTime, randomBytes } from "../../../base/bytes.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { helloKind, helloRoom, nonceBytes, pathMacs, readHello, roomKey, roomOf, writeHello } from "./datagram-hello.ts"
import type { Hello, Room } from "./datagram-hello.ts"
import { isSealed } from "./datagram-mac.ts"
import type { Mac, MacFor } from "./datagram-mac.ts"
import { packetKind, readHead } from "./datagram-packet.ts"
import { DatagramPath } from "./datagram-path.ts"
import { printAddress } from "./datagram-socket.ts"
import type { DatagramAddress, DatagramSocket } from "./datagram-socket.ts"

export interface DatagramEndpointOptions {
  readonly socket: DatagramSocket
  readonly clock: Clock
  readonly macFor: MacFor
  /** Of nonces and path numbers. */
  readonly random?: (count: number) => Uint8Array
  /** See `DatagramPathOptions`. */
  readonly safeBytes?: number
  readonly largestBytes?: number
  readonly silentMs?: number
  readonly highWaterBytes?: number
}

/** This side under one key: a member in its swarm, or a member towards its relay. */
export interface DatagramSelf {
  /** 32 bytes, known to the two sides of a path: `SwarmKeys.peer`. */
  readonly key: Uint8Array
  /** As the other side shall call this one: 1-64 characters of base64url. */
  readonly name: string
  /** Somebody with the key has dialled. Without it nobody can. */
  readonly onPath?: (path: DatagramPath, name: string) => void
}

/** A self that takes part. */
export interface DatagramSeat {
  /**
   * A path to a member called `name`. Rejects with the signal's reason, `unreachable` (no address is of use), `closed`,
   * `limit`. The other side may dial this one at the same time.
   */
  dial(addresses: readonly DatagramAddress[], name: string, signal: AbortSignal): Promise<DatagramPath>
  /** Where others last said that this side's datagrams come from: behind an address translator, its public address. */
  readonly seen: DatagramAddress | undefined
  /** No new paths; those that are there stay. */
  close(): void
}

/** Somebody who dials, is dialled, or both. */
interface Attempt {
  readonly seat: Seat
  readonly path: number
  readonly nonce: Uint8Array
  /** Whom this side dials; undefined when it is dialled. */
  readonly name: string | undefined
  readonly addresses: readonly DatagramAddress[]
  their: { readonly path: number; readonly nonce: Uint8Array; readonly name: string; at: DatagramAddress } | undefined
  macs: { readonly out: Mac; readonly in: Mac } | undefined
  live: DatagramPath | undefined
  timer: Timer | undefined
  readonly settle: ((result: DatagramPath | RdvError) => void) | undefined
}

const zeros = new Uint8Array(nonceBytes)
/** Of those who were answered and have not proven to be there. */
const mostPending = 64
const pendingMs = 10_000
const mostPaths = 256
const mostAddresses = 16
const firstHelloMs = 100
const slowestHelloMs = 1_000

export class DatagramEndpoint {
  readonly #options: DatagramEndpointOptions
  readonly #seats = new Map<string, Seat>()
  readonly #attempts = new Map<number, Attempt>()
  #pending = 0
  #closed = false

  constructor(options: DatagramEndpointOptions) {
    this.#options = options
    options.socket.attach({
      datagram: (bytes, from) => this.#datagram(bytes, from),
      closed: (error) => this.#end(error ?? new RdvError("closed")),
    })
  }

  get local(): DatagramAddress {
    return this.#options.socket.local
  }

  /** Throws `exists`: somebody takes part under this key. */
  sit(self: DatagramSelf): DatagramSeat {
    const room = roomOf(this.#options.macFor, self.key)
    const key = roomKey(room.id)
    if (this.#seats.has(key)) throw new RdvError("exists", "The key is in use at this socket")
    const seat: Seat = { self, room, seen: undefined }
    this.#seats.set(key, seat)
    return {
      get seen() {
        return seat.seen
      },
      dial: (addresses, name, signal) => this.#dial(seat, addresses, name, signal),
      close: () => {
        if (this.#seats.get(key) === seat) this.#seats.delete(key)
        for (const attempt of this.#attempts.values()) {
          if (attempt.seat === seat && attempt.live === undefined) this.#fail(attempt, new RdvError("closed"))
        }
      },
    }
  }

  /** Ends all paths and the socket. */
  close(): void {
    if (this.#closed) return
    this.#end(new RdvError("closed"))
    this.#options.socket.close()
  }

  #end(error: RdvError): void {
    this.#closed = true
    for (const attempt of this.#attempts.values()) {
      if (attempt.live === undefined) this.#fail(attempt, error)
      else attempt.live.abort(error)
    }
    this.#seats.clear()
  }

  async #dial(
    seat: Seat,
    addresses: readonly DatagramAddress[],
    name: string,
    signal: AbortSignal,
  ): Promise<DatagramPath> {
    signal.throwIfAborted()
    if (this.#closed) throw new RdvError("closed")
    if (addresses.length === 0) throw new RdvError("unreachable", "No address to send datagrams to")
    if (this.#attempts.size >= mostPaths) throw new RdvError("limit", "Too many paths at one socket")
    return new Promise<DatagramPath>((resolve, reject) => {
      const onAbort = () => this.#fail(attempt, signal.reason as RdvError)
      const attempt = this.#attempt(seat, name, addresses.slice(0, mostAddresses), (result) => {
        signal.removeEventListener("abort", onAbort)
        if (result instanceof DatagramPath) resolve(result)
        else reject(result)
      })
      signal.addEventListener("abort", onAbort, { once: true })
      this.#call(attempt, firstHelloMs)
    })
  }

  #attempt(
    seat: Seat,
    name: string | undefined,
    addresses: readonly DatagramAddress[],
    settle?: Attempt["settle"],
  ): Attempt {
    const random = this.#options.random ?? randomBytes
    let path = 0
    do path = new DataView(random(4).buffer).getUint32(0)
    while (this.#attempts.has(path))
    const attempt: Attempt = {
      seat,
      path,
      nonce: random(nonceBytes),
      name,
      addresses,
      their: undefined,
      macs: undefined,
      live: undefined,
      timer: undefined,
      settle,
    }
    this.#attempts.set(path, attempt)
    return attempt
  }

  /** Hellos to everywhere, more and more seldom. */
  #call(attempt: Attempt, waitMs: number): void {
    for (const address of attempt.addresses) this.#hello(attempt, address)
    const next = Math.min(slowestHelloMs, waitMs * 1.5)
    attempt.timer = this.#options.clock.after(waitMs, () => this.#call(attempt, next))
  }

  #hello(attempt: Attempt, to: DatagramAddress): void {
    const { path, nonce, seat, their } = attempt
    const hello = { path, nonce, echo: their?.nonce ?? zeros, seen: to, name: seat.self.name }
    this.#options.socket.send(writeHello(seat.room, hello), to)
  }

  #datagram(bytes: Uint8Array, from: DatagramAddress): void {
    if (this.#closed) return
    if (bytes[0] === packetKind) {
      const head = readHead(bytes)
      const attempt = head === undefined ? undefined : this.#attempts.get(head.path)
      if (attempt === undefined) return
      // The other side has seen that this one is there; its hello that says so may be lost or late.
      if (attempt.live === undefined && attempt.macs !== undefined && isSealed(attempt.macs.in, bytes))
        this.#up(attempt)
      attempt.live?.datagram(bytes)
    } else if (bytes[0] === helloKind) this.#heard(bytes, from)
  }

  #heard(bytes: Uint8Array, from: DatagramAddress): void {
    const seat = this.#seats.get(helloRoom(bytes) ?? "")
    if (seat === undefined || !isSealed(seat.room.mac, bytes)) return
    const hello = readHello(bytes)
    if (hello === undefined) return
    const attempt = this.#find(seat, hello)
    if (attempt === undefined) return
    const { their } = attempt
    const isEcho = equalConstantTime(hello.echo, attempt.nonce)
    if (attempt.live !== undefined) {
      // It does not know yet that it was heard.
      if (!isEcho && their !== undefined && equalConstantTime(their.nonce, hello.nonce)) this.#hello(attempt, from)
      return
    }
    // A nonce that came with the echo is fresh; before, whoever spoke last is believed.
    const { path, nonce, name } = hello
    attempt.their = { path, nonce, name, at: from }
    attempt.macs = pathMacs(this.#options.macFor, seat.self.key, attempt.nonce, nonce)
    if (!isEcho) {
      this.#hello(attempt, from)
      return
    }
    if (hello.seen !== undefined) seat.seen = hello.seen
    this.#up(attempt)
  }

  /** Whose hello it is, or a new one who dials; undefined: nobody answers. */
  #find(seat: Seat, hello: Hello): Attempt | undefined {
    let other: Attempt | undefined
    for (const attempt of this.#attempts.values()) {
      if (attempt.seat !== seat) continue
      // Its own words, thrown back at it.
      if (equalConstantTime(attempt.nonce, hello.nonce)) return undefined
      const isEcho = equalConstantTime(attempt.nonce, hello.echo)
      if (isEcho && (attempt.name === undefined || attempt.name === hello.name)) return attempt
      const isKnown = attempt.their !== undefined && equalConstantTime(attempt.their.nonce, hello.nonce)
      const isDialled = attempt.live === undefined && attempt.name === hello.name
      if (isKnown || isDialled) other = attempt
    }
    if (other !== undefined) return other
    if (seat.self.onPath === undefined || hello.echo.some((byte) => byte !== 0)) return undefined
    if (this.#pending >= mostPending || this.#attempts.size >= mostPaths) return undefined
    const attempt = this.#attempt(seat, undefined, [])
    this.#pending++
    attempt.timer = this.#options.clock.after(pendingMs, () => this.#fail(attempt, new RdvError("timeout")))
    return attempt
  }

  #up(attempt: Attempt): void {
    const { their, macs, seat } = attempt
    if (their === undefined || macs === undefined) return
    const { socket, clock, safeBytes, largestBytes, silentMs, highWaterBytes } = this.#options
    attempt.timer?.cancel()
    attempt.timer = undefined
    if (attempt.name === undefined) this.#pending--
    const path = new DatagramPath({
      clock,
      over: socket.kind,
      peer: printAddress(their.at),
      path: their.path,
      outMac: macs.out,
      inMac: macs.in,
      transmit: (datagram) => socket.send(datagram, their.at),
      onEnd: () => this.#attempts.delete(attempt.path),
      ...(safeBytes !== undefined && { safeBytes }),
      ...(largestBytes !== undefined && { largestBytes }),
      ...(silentMs !== undefined && { silentMs }),
      ...(highWaterBytes !== undefined && { highWaterBytes }),
    })
    attempt.live = path
    if (attempt.settle !== undefined) attempt.settle(path)
    else seat.self.onPath?.(path, their.name)
    // The other side learns from it that it was heard.
    path.ping()
  }

  #fail(attempt: Attempt, error: RdvError): void {
    if (attempt.live !== undefined || this.#attempts.get(attempt.path) !== attempt) return
    attempt.timer?.cancel()
    this.#attempts.delete(attempt.path)
    if (attempt.name === undefined) this.#pending--
    attempt.settle?.(error)
  }
}

interface Seat {
  readonly self: DatagramSelf
  readonly room: Room
  seen: DatagramAddress | undefined
}
