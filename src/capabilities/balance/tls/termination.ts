/**
 * TLS that ends at a port of ours: several certificates by server name, renewed without touching connections that run,
 * certificates of clients, protocols (ALPN), tickets that outlive a renewal. It takes sockets that somebody else has
 * accepted and perhaps read from. Half-close passes through TLS as it does without.
 */

import { createHash, randomBytes } from "node:crypto"
import type { X509Certificate } from "node:crypto"
import type { Socket } from "node:net"
import type * as tls from "node:tls"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import { readPair } from "../../../certificates/certificate-pair.ts"
import { PairWatch } from "../../../certificates/pair-watch.ts"
import type { ListenerTls } from "../config/settings.ts"
import { AuthorityFile } from "./authority-file.ts"
import { makeHandshakeServers } from "./handshake-servers.ts"
import type { HandshakeServers } from "./handshake-servers.ts"
import { tlsReason } from "./tls-reason.ts"

export interface TerminationOptions {
  readonly settings: ListenerTls
  readonly clock: Clock
  readonly log: Log
  /** 48 random bytes that several event loops share, so that each takes the others' tickets. Default: own ones. */
  readonly ticketKeys?: Uint8Array
}

export type Secured =
  | {
      readonly ok: true
      /** Paused, without listeners. A reset goes through the socket below it: `resetAndDestroy` of that one. */
      readonly socket: tls.TLSSocket
      /** In lower case, as the client asked for it. */
      readonly serverName: string | undefined
      readonly alpn: string | undefined
      /** `TLSv1.3`. */
      readonly version: string
      /** The common name of the client's certificate, which is verified. */
      readonly commonName: string | undefined
    }
  /** For people; both sockets are dead or dying. */
  | { readonly ok: false; readonly reason: string }

export class Termination {
  readonly #clock: Clock
  readonly #log: Log
  #settings: ListenerTls
  #watches: ReadonlyMap<string, PairWatch> = new Map()
  #authority: AuthorityFile | undefined
  #ticketKeys: Buffer
  #ticketTimer: Timer | undefined
  #servers: HandshakeServers
  /** Handshakes under way by their connection's addresses: what Node's TLS server tells has no other mark. */
  readonly #pending: Map<string, Handshake> = new Map()
  /** While its socket tells that it is closed. */
  #closing: Handshake | undefined

  /** Watches the files until `stop`. Throws `usage` when they cannot be used. */
  constructor({ settings, clock, log, ticketKeys }: TerminationOptions) {
    this.#clock = clock
    this.#log = log
    this.#settings = settings
    this.#ticketKeys = Buffer.from(ticketKeys ?? randomBytes(ticketKeyBytes))
    const files = this.#open(settings)
    try {
      this.#servers = this.#build(settings, files)
    } catch (error) {
      this.#close(files)
      throw error
    }
    this.#watches = files.watches
    this.#authority = files.authority
    if (ticketKeys === undefined) this.#changeTicketsDaily()
  }

  /** Handshakes under way. */
  get pending(): number {
    return this.#pending.size
  }

  /**
   * Takes the socket over, which must be of TCP; nobody else reads it any more. `first` is what was
   * already read from it: with the whole ClientHello, a name that has several certificates (ECDSA, RSA) gets the one that
   * suits the client, without it the first of them. `done` is called once, perhaps before this returns. There is no time-out but one of two
   * minutes: whoever waits destroys the socket, and then hears of it.
   */
  secure(socket: Socket, first: Uint8Array, done: (result: Secured) => void): void {
    socket.on("error", ignore)
    const key = addressesOf(socket)
    if (socket.destroyed || socket.readableEnded || key === undefined || this.#pending.has(key)) {
      socket.destroy()
      done({ ok: false, reason: left })
      return
    }
    const handshake: Handshake = {
      finish: (result) => {
        if (this.#pending.get(key) !== handshake) return
        this.#pending.delete(key)
        socket.off("close", onClose)
        done(result)
      },
    }
    const onClose = () => {
      // Node tells why only in a listener behind this one, and of a socket that has no address any more.
      this.#closing = handshake
      process.nextTick(() => {
        this.#closing = undefined
        handshake.finish({ ok: false, reason: left })
      })
    }
    this.#pending.set(key, handshake)
    socket.on("close", onClose)
    socket.pause()
    // An end within the handshake is the end of all; the TLS socket inherits this.
    socket.allowHalfOpen = false
    // A copy: it is read after this tick.
    if (first.length > 0) socket.unshift(Buffer.from(first))
    // A documented way in: https://nodejs.org/api/tls.html#event-connection
    this.#servers.choose(first).emit("connection", socket)
  }

  /** Other settings from the next handshake on. Throws `usage`, and nothing has changed then. */
  update(settings: ListenerTls): void {
    const files = this.#open(settings)
    try {
      this.#servers = this.#build(settings, files)
    } catch (error) {
      this.#close(files)
      throw error
    }
    for (const [name, watch] of this.#watches) if (files.watches.get(name) !== watch) watch.stop()
    this.#authority?.stop()
    this.#settings = settings
    this.#watches = files.watches
    this.#authority = files.authority
  }

  /** Reads all files now. What cannot be used is told in the log, and what we have stays. */
  reload(): void {
    for (const watch of this.#watches.values()) watch.reload()
    this.#authority?.reload()
  }

  /** Other keys for tickets, when they were given from outside. */
  changeTickets(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys)
    this.#rebuild()
  }

  /** Stops watching. Handshakes under way go on. */
  stop(): void {
    this.#ticketTimer?.cancel()
    this.#close({ watches: this.#watches, authority: this.#authority })
  }

  /** The files of these settings; watches that we have are kept. */
  #open({ certificates, clientCa, clientCertificate }: ListenerTls): Files {
    // All are read before the first is watched.
    const pairs = certificates.map((files) => ({ files, pair: readPair(files) }))
    const onChanged = () => this.#rebuild()
    const wantsAuthority = clientCa !== undefined && clientCertificate !== "none"
    const { clock, log } = { clock: this.#clock, log: this.#log }
    const authority = wantsAuthority ? new AuthorityFile({ file: clientCa, clock, log, onChanged }) : undefined
    const watches = new Map<string, PairWatch>()
    for (const { files, pair } of pairs) {
      const name = `${files.cert}\n${files.key}`
      const kept = this.#watches.get(name)
      // What has not changed is not told again.
      if (kept !== undefined && (kept.pair.cert !== pair.cert || kept.pair.key !== pair.key)) kept.reload()
      const mend = `renew ${files.cert} and its key`
      const told = this.#log.with({ cert: files.cert })
      const watch = kept ?? new PairWatch({ clock, log: told, files, pair, onRenewed: () => this.#renew(), mend })
      watches.set(name, watch)
    }
    return { watches, authority }
  }

  #close({ watches, authority }: Files): void {
    for (const [name, watch] of watches)
      if (this.#watches.get(name) !== watch || watches === this.#watches) watch.stop()
    authority?.stop()
  }

  #renewing = false

  /** A watch tells of a new pair before it has it itself. */
  #renew(): void {
    if (this.#renewing) return
    this.#renewing = true
    queueMicrotask(() => {
      this.#renewing = false
      this.#rebuild()
    })
  }

  #rebuild(): void {
    this.#servers = this.#build(this.#settings, { watches: this.#watches, authority: this.#authority })
  }

  /** TLS servers that listen nowhere: the part of Node that shakes hands. Replaced ones end what they have begun. */
  #build(settings: ListenerTls, { watches, authority }: Files): HandshakeServers {
    const { minVersion, alpn, clientCertificate } = settings
    const ca = authority?.pem
    // A ticket that was given under other rules for clients' certificates is worth nothing.
    const rules = createHash("sha256").update(JSON.stringify([clientCertificate, ca ?? ""]))
    const options: tls.TlsOptions = {
      minVersion,
      sessionIdContext: rules.digest("hex").slice(0, 32),
      ticketKeys: this.#ticketKeys,
      ...(ca !== undefined && { ca }),
      requestCert: clientCertificate !== "none",
      // Those without one hear so in TLS' own way.
      rejectUnauthorized: clientCertificate === "require",
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    }
    return makeHandshakeServers(
      options,
      [...watches.values()].map((watch) => watch.pair),
      (server) => {
        server.on("secureConnection", (socket) => this.#welcome(socket, clientCertificate))
        server.on("tlsClientError", (error, socket) => this.#refuse(error, socket))
      },
    )
  }

  #welcome(socket: tls.TLSSocket, rule: ListenerTls["clientCertificate"]): void {
    socket.pause()
    socket.allowHalfOpen = true
    const handshake = this.#find(socket)
    const shown = rule === "none" ? undefined : shownBy(socket)
    const isWrong = rule === "none" ? false : shown === undefined ? rule === "require" : !socket.authorized
    if (handshake === undefined || isWrong) {
      socket.on("error", ignore)
      socket.destroy()
      const reason = shown === undefined ? noCertificate : authorizationReason(socket)
      handshake?.finish({ ok: false, reason })
      return
    }
    handshake.finish({
      ok: true,
      socket,
      serverName: typeof socket.servername === "string" ? socket.servername.toLowerCase() : undefined,
      alpn: typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : undefined,
      version: socket.getProtocol() ?? "",
      commonName: shown && commonNameOf(shown),
    })
  }

  /** Node closes the socket. */
  #refuse(error: Error, socket: tls.TLSSocket): void {
    const reason = isSet(socket.authorizationError) ? authorizationReason(socket) : tlsReason(error, "client")
    this.#find(socket)?.finish({ ok: false, reason })
  }

  #find(socket: tls.TLSSocket): Handshake | undefined {
    const key = addressesOf(socket)
    return key === undefined ? this.#closing : this.#pending.get(key)
  }

  #changeTicketsDaily(): void {
    this.#ticketTimer = this.#clock.after(dayMs, () => {
      this.changeTickets(randomBytes(ticketKeyBytes))
      this.#changeTicketsDaily()
    })
  }
}

interface Handshake {
  /** The first call counts. */
  finish(result: Secured): void
}

interface Files {
  /** By the names of both files, in the order of the settings. */
  readonly watches: ReadonlyMap<string, PairWatch>
  readonly authority: AuthorityFile | undefined
}

const ticketKeyBytes = 48
const dayMs = 86_400_000
const left = "the client left during the handshake"
const noCertificate = "the client shows no certificate"
const ignore = (): void => undefined

/** Of a TCP connection there is only one with these. Undefined when it is over. */
function addressesOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

function shownBy(socket: tls.TLSSocket): X509Certificate | undefined {
  return socket.getPeerX509Certificate()
}

/** Node's types say Error, its documentation a code. */
function isSet(authorizationError: unknown): boolean {
  return authorizationError !== undefined && authorizationError !== null
}

function authorizationReason(socket: tls.TLSSocket): string {
  const thrown: unknown = socket.authorizationError
  const code = thrown instanceof Error ? thrown.message : String(thrown)
  return tlsReason(Object.assign(new Error(`its certificate is not accepted: ${code}`), { code }), "client")
}

/** Undefined without one, or with several: nobody could say which one counts. */
function commonNameOf(certificate: X509Certificate): string | undefined {
  const name: unknown = certificate.toLegacyObject().subject.CN
  return typeof name === "string" ? name : undefined
}
