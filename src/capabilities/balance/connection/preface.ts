/**
 * What stands ahead of a client's bytes: a PROXY header, a ClientHello that tells where it wants to go. It is read, bounded,
 * and what lies behind it is put back.
 */

import type { Socket } from "node:net"
import { mostHelloBytes, readClientHello } from "../preface/client-hello.ts"
import type { ClientHello } from "../preface/client-hello.ts"
import { mostProxyHeaderBytes, readProxyHeader } from "../preface/proxy-header.ts"
import type { ProxyHeader } from "../preface/proxy-header.ts"
import type { Ending } from "./ending.ts"

export interface PrefaceWants {
  readonly proxyHeader: "off" | "optional" | "require"
  readonly hello: boolean
  /** Who does not begin with TLS comes in, too. */
  readonly plain: boolean
}

export interface Preface {
  readonly header: ProxyHeader | undefined
  readonly hello: ClientHello | undefined
  /** Behind the header; the hello is still in it. */
  readonly rest: Buffer
}

export interface PrefaceListener {
  /** The socket is paused; it may have ended already. */
  onPreface(preface: Preface): void
  onBadPreface(ending: Ending, detail: string): void
}

export class PrefaceReader {
  readonly #socket: Socket
  readonly #listener: PrefaceListener
  #wants: PrefaceWants
  #bytes: Buffer = Buffer.alloc(0)
  #header: ProxyHeader | undefined

  /** Reads until one of the listener's methods was called. */
  constructor(socket: Socket, wants: PrefaceWants, listener: PrefaceListener) {
    this.#socket = socket
    this.#wants = wants
    this.#listener = listener
    socket.on("data", this.#hear)
    socket.on("end", this.#ended)
    socket.on("close", this.#gone)
    socket.resume()
  }

  /** Hears nothing more. */
  stop(): void {
    this.#socket.off("data", this.#hear).off("end", this.#ended).off("close", this.#gone)
  }

  readonly #hear = (bytes: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    this.#read()
  }

  readonly #ended = (): void => {
    if (this.#wants.proxyHeader === "optional" && !this.#wants.hello) this.#done(undefined)
    else this.#fail("client-gone", "it ended before it had said enough")
  }

  readonly #gone = (): void => this.#fail("client-gone", "it broke off before it had said enough")

  #read(): void {
    if (this.#wants.proxyHeader !== "off" && !this.#readHeader()) return
    if (!this.#wants.hello) {
      this.#done(undefined)
      return
    }
    const read = readClientHello(this.#bytes)
    if (read.kind === "hello") this.#done(read.hello)
    else if (read.kind === "bad" && this.#wants.plain) this.#done(undefined)
    else if (read.kind === "bad") this.#fail("bad-hello", read.reason)
    else if (this.#bytes.length > mostHelloBytes) this.#fail("bad-hello", "it is too long")
  }

  /** True when it is behind us. */
  #readHeader(): boolean {
    const read = readProxyHeader(this.#bytes)
    if (read.kind === "more") {
      if (this.#bytes.length > mostProxyHeaderBytes) this.#fail("bad-proxy-header", "it is too long")
      return false
    }
    if (read.kind === "bad" || (read.kind === "none" && this.#wants.proxyHeader === "require")) {
      this.#fail("bad-proxy-header", read.kind === "bad" ? read.reason : "there is none")
      return false
    }
    if (read.kind === "header") {
      this.#header = read.header
      this.#bytes = this.#bytes.subarray(read.bytes)
    }
    this.#wants = { ...this.#wants, proxyHeader: "off" }
    return true
  }

  #done(hello: ClientHello | undefined): void {
    this.stop()
    this.#socket.pause()
    this.#listener.onPreface({ header: this.#header, hello, rest: this.#bytes })
  }

  #fail(ending: Ending, detail: string): void {
    this.stop()
    this.#listener.onBadPreface(ending, detail)
  }
}
