/**
 * Makes connections to one target: resolves, tries its addresses until one takes the connection, does the TLS handshake,
 * all within one time limit. What went wrong is one `LoadError`.
 */

import { X509Certificate } from "node:crypto"
import { connect as connectPlain, isIP } from "node:net"
import type { OnReadOpts, Socket } from "node:net"
import { checkServerIdentity, connect as connectSecure, createSecureContext } from "node:tls"
import type { SecureContext } from "node:tls"
import { RdvError } from "../../../base/error.ts"
import type { Target } from "../scenario/scenario.ts"
import { Addresses } from "./addresses.ts"
import type { AddressesOptions, Route } from "./addresses.ts"
import type { LoadError } from "./client.ts"
import { connectTimeout, oneLine, socketError } from "./load-error.ts"
import type { Phase } from "./load-error.ts"

export interface DialerOptions {
  readonly connectTimeoutMs: number
  readonly addresses?: AddressesOptions
}

/** Exactly one of the two is given. */
export type Dialled = (error: LoadError | undefined, socket: Socket | undefined) => void

export class Dialer {
  /** `host:port`, or the path of a unix socket: how errors name the target. */
  readonly where: string
  readonly connectTimeoutMs: number
  readonly target: Target
  readonly secure: boolean
  readonly addresses: Addresses | undefined
  readonly #context: SecureContext | undefined

  /** Throws `usage` when the target's certificates cannot be read. */
  constructor(target: Target, options: DialerOptions) {
    this.target = target
    this.where = target.protocol === "unix" ? `unix:${target.path}` : hostAndPort(target.host, target.port)
    this.connectTimeoutMs = options.connectTimeoutMs
    this.secure = target.protocol === "tls" || target.protocol === "https" || target.protocol === "wss"
    if (target.protocol !== "unix") this.addresses = new Addresses(target.address ?? target.host, options.addresses)
    if (this.secure) this.#context = secureContext(target)
  }

  /**
   * Calls back later, never from within. The socket reads through `onread` when that is given; it is open for half-closed
   * use, and its errors are not heard by anybody once it was handed over. What is returned gives up: then nothing is
   * called back any more.
   */
  dial(onread: OnReadOpts | undefined, dialled: Dialled): () => void {
    const dial = new Dial(this, onread, dialled)
    dial.start()
    return () => dial.giveUp()
  }

  /** Not to be called but from `Dial`. */
  socket(address: string | undefined, onread: OnReadOpts | undefined): Socket {
    const { target } = this
    const reading = onread === undefined ? {} : { onread }
    if (address === undefined) return connectPlain({ path: target.path, allowHalfOpen: true, ...reading })
    const where = { host: address, port: target.port, allowHalfOpen: true, noDelay: true, ...reading }
    if (this.#context === undefined) return connectPlain(where)
    const name = target.tls?.serverName ?? target.host
    return connectSecure({
      ...where,
      secureContext: this.#context,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      // The address is where we connect, the name is whom we mean.
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
      rejectUnauthorized: target.tls?.insecure !== true,
      ...(target.protocol === "tls" ? {} : { ALPNProtocols: ["http/1.1"] }),
    })
  }
}

export function hostAndPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}

function secureContext({ label, tls }: Target): SecureContext {
  try {
    // OpenSSL passes over text in which it finds no certificate.
    if (tls?.ca !== undefined) new X509Certificate(tls.ca).toString()
    return createSecureContext(tls?.ca === undefined ? {} : { ca: tls.ca })
  } catch (cause) {
    const text = `The authority's certificate for ${label} cannot be read: ${oneLine(String((cause as Error).message))}`
    throw new RdvError("usage", text, { cause, mend: "give a PEM file" })
  }
}

/** One connection while it is made. */
class Dial {
  readonly #dialer: Dialer
  readonly #onread: OnReadOpts | undefined
  readonly #dialled: Dialled
  readonly #timer: NodeJS.Timeout
  #route: Route | undefined
  #address: string | undefined
  #socket: Socket | undefined
  #phase: Phase = "connecting"
  #over = false

  constructor(dialer: Dialer, onread: OnReadOpts | undefined, dialled: Dialled) {
    this.#dialer = dialer
    this.#onread = onread
    this.#dialled = dialled
    this.#timer = setTimeout(() => this.#timedOut(), dialer.connectTimeoutMs)
  }

  start(): void {
    const { addresses } = this.#dialer
    if (addresses === undefined) {
      this.#attempt(undefined)
      return
    }
    try {
      addresses.route((error, route) => {
        if (this.#over) return
        this.#route = route
        if (route === undefined) this.#done({ ...socketError(error, this.#dialer.where, "connecting"), kind: "dns" })
        else this.#attempt(route.next())
      })
    } catch (thrown) {
      // A name that the resolver does not even take.
      process.nextTick(() => this.#done({ ...socketError(thrown, this.#dialer.where, "connecting"), kind: "dns" }))
    }
  }

  giveUp(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket?.destroy()
  }

  #attempt(address: string | undefined): void {
    this.#address = address
    this.#phase = "connecting"
    let socket: Socket
    try {
      socket = this.#dialer.socket(address, this.#onread)
    } catch (thrown) {
      // What Node does not even take: a port of 70000, a path that is too long.
      const failure = socketError(thrown, this.#dialer.where, "connecting")
      process.nextTick(() => this.#done(failure))
      return
    }
    this.#socket = socket
    const { secure } = this.#dialer
    // It stays for the socket's whole life, so that an error after the end crashes nobody.
    socket.on("error", (error) => this.#failed(socket, error))
    if (secure) socket.on("connect", () => (this.#phase = "securing"))
    socket.on(secure ? "secureConnect" : "connect", () => this.#connected(socket))
  }

  #connected(socket: Socket): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#socket = undefined
    this.#dialled(undefined, socket)
  }

  #failed(socket: Socket, error: Error): void {
    if (this.#over || socket !== this.#socket) return
    const failure = socketError(error, this.#dialer.where, this.#phase)
    socket.destroy()
    const absent = failure.kind === "refused" || failure.kind === "unreachable"
    if (this.#phase === "connecting" && absent && this.#address !== undefined) {
      this.#route?.failed(this.#address)
      const next = this.#route?.next()
      if (next !== undefined) {
        this.#attempt(next)
        return
      }
    }
    this.#done(failure)
  }

  #timedOut(): void {
    const address = this.#address
    if (address !== undefined && this.#phase === "connecting") this.#route?.failed(address)
    this.#done(connectTimeout(this.#dialer.where, this.#dialer.connectTimeoutMs))
  }

  #done(error: LoadError): void {
    if (this.#over) return
    this.giveUp()
    this.#dialled(error, undefined)
  }
}
