/**
 * One attempt to reach a target: its address, the connection, what is sent ahead of the client's bytes, TLS. It tells its
 * outcome once; how long it may take is its owner's matter, who cancels it.
 */

import * as net from "node:net"
import type { Duplex } from "node:stream"
import type { TLSSocket } from "node:tls"
import type { Stream } from "../../../base/stream.ts"
import type { JointEnd } from "../../../sockets/joint.ts"
import { SocketReader } from "../../../sockets/socket-reader.ts"
import { StreamDuplex } from "../../../sockets/stream-duplex.ts"
import type { TargetSettings } from "../config/settings.ts"
import { failureText } from "../health/failure-text.ts"
import type { Name } from "../names/names.ts"
import { tlsReason } from "../tls/tls-reason.ts"

export interface DialListener {
  /** Connected, paused, and all that has to stand ahead of the client's bytes has been written. */
  dialled(end: JointEnd): void
  /** `detail` is for people: `connection refused`. */
  dialFailed(detail: string, fault: DialFault): void
}

/** `us`: we had no descriptor or no local port, which says nothing of the target. */
export type DialFault = "target" | "us"

export interface DialOptions {
  readonly settings: TargetSettings
  /** Instead of the one in its address. */
  readonly port: number | undefined
  /** It is read by `data` events; else through the reader that comes with it. */
  readonly withEvents: boolean
  /** Of a TCP target. */
  readonly name: Name | undefined
  /** Reaches private services of agents; undefined: no relay is configured. */
  readonly callAgents: ((name: string) => Stream) | undefined
  readonly noDelay: boolean
  /** The PROXY header. */
  readonly preamble: Uint8Array | undefined
  /** One that stood ready, instead of a new one; when it fails before it is joined, a new one is made all the same. */
  readonly ready?: JointEnd | undefined
  /** Begins TLS; undefined: without. */
  readonly secure: ((connection: Duplex) => TLSSocket) | undefined
  readonly listener: DialListener
}

export class Dial {
  readonly #options: DialOptions
  #stream: Duplex | undefined
  #addressesLeft = 1
  /** That did not answer yet. */
  #address: string | undefined
  /** What is dialled stood ready: how long it takes tells nothing about the target's distance. */
  isReady = false
  #isOver = false

  constructor(options: DialOptions) {
    this.#options = options
  }

  /** The outcome may be told before this returns. */
  start(): void {
    const { ready } = this.#options
    if (ready === undefined) this.#dialAnew()
    else {
      this.isReady = true
      this.#stream = ready.stream
      const { noDelay, preamble, secure } = this.#options
      const writesAhead = ready.below === undefined && (preamble !== undefined || secure !== undefined)
      if (noDelay && writesAhead && ready.stream instanceof net.Socket) ready.stream.setNoDelay(true)
      // What came with TLS needs nothing any more.
      if (ready.below === undefined) this.#connected(ready)
      else this.#succeed(ready)
    }
  }

  /** Gives up; the listener hears nothing more. */
  cancel(): void {
    this.#isOver = true
    this.#stream?.destroy()
  }

  /** Like `cancel`, because there was no answer in time; the address that was tried counts as one that failed. */
  giveUp(): void {
    if (this.#address !== undefined) this.#options.name?.failed(this.#address)
    this.cancel()
  }

  #dialAnew(): void {
    const { settings, name, callAgents } = this.#options
    switch (settings.address.kind) {
      case "tcp":
        if (name === undefined || name.addresses.length > 0) this.#dialAddress()
        else {
          void name.ready().then(() => {
            if (!this.#isOver) this.#dialAddress()
          })
        }
        return
      case "unix":
        this.#connect({ path: settings.address.path })
        return
      case "rdv":
        if (callAgents === undefined) this.#fail("no relay is configured")
        else this.#call(settings.address.name, callAgents)
    }
  }

  #dialAddress(): void {
    const { settings, name } = this.#options
    if (settings.address.kind !== "tcp") return
    const address = name?.next()
    if (address === undefined) {
      this.#fail(name?.error ?? "its name has no address")
      return
    }
    if (this.#stream === undefined) this.#addressesLeft = name?.addresses.length ?? 1
    this.#addressesLeft--
    this.#connect({ host: address, port: this.#options.port ?? settings.address.port }, address)
  }

  #connect(to: { readonly host: string; readonly port: number } | { readonly path: string }, address?: string): void {
    const { noDelay, name, preamble, secure } = this.#options
    const reader = this.#options.withEvents ? undefined : new SocketReader()
    const socket = net.connect({
      ...to,
      allowHalfOpen: true,
      ...(reader !== undefined && { onread: reader.onread }),
      // Without a write ahead of the client's bytes the joint sees to it.
      noDelay: noDelay && (preamble !== undefined || secure !== undefined),
      // The address is known; Node's race between families would make a timer per connection.
      autoSelectFamily: false,
    })
    this.#stream = socket
    this.#address = address
    const onError = (error: Error) => {
      socket.removeListener("connect", onConnect)
      if (this.#isOver) return
      const isOurs = ours.has((error as NodeJS.ErrnoException).code ?? "")
      if (address !== undefined && !isOurs) name?.failed(address)
      if (this.#addressesLeft > 0 && address !== undefined) this.#dialAddress()
      else this.#fail(failureText(error), isOurs ? "us" : "target")
    }
    const onConnect = () => {
      socket.removeListener("error", onError)
      this.#address = undefined
      this.#connected({ stream: socket, reader })
    }
    // Also what comes after it was cancelled is heard, by `onError`.
    socket.on("error", onError)
    socket.once("connect", onConnect)
    socket.pause()
  }

  #connected(end: JointEnd): void {
    const { preamble, secure } = this.#options
    const connection = end.stream
    if (preamble !== undefined) connection.write(preamble)
    if (secure === undefined) {
      this.#succeed(end)
      return
    }
    const secured = secure(connection)
    this.#stream = secured
    const onError = (error: Error) => {
      if (this.isReady && !this.#isOver) {
        this.isReady = false
        this.#stream = undefined
        secured.destroy()
        this.#dialAnew()
      } else this.#fail(`TLS: ${tlsReason(error, "target")}`)
    }
    secured.on("error", onError)
    secured.once("secureConnect", () => {
      secured.removeListener("error", onError)
      secured.pause()
      this.#succeed({ stream: secured, below: connection instanceof net.Socket ? connection : undefined })
    })
  }

  /** The agent says in a metadata block that its own connection stands. */
  #call(name: string, callAgents: (name: string) => Stream): void {
    let duplex: StreamDuplex
    const onError = (error: Error) => this.#fail(failureText(error))
    try {
      const stream = callAgents(name)
      duplex = new StreamDuplex(stream, ({ connected }) => {
        if (connected !== true || this.#isOver) return
        duplex.removeListener("error", onError)
        this.#connected({ stream: duplex })
      })
    } catch (thrown) {
      this.#fail(failureText(thrown))
      return
    }
    this.#stream = duplex
    duplex.on("error", onError)
    duplex.once("end", () => this.#fail("the agent closed the call"))
  }

  #succeed(end: JointEnd): void {
    if (this.#isOver) {
      end.stream.destroy()
      return
    }
    this.#isOver = true
    this.#options.listener.dialled(end)
  }

  #fail(detail: string, fault: DialFault = "target"): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stream?.destroy()
    this.#options.listener.dialFailed(detail, fault)
  }
}

const ours: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"])
