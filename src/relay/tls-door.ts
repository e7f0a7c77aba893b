/** The public port under TLS: the protocol that a client asks for tells who is there. */

import type * as net from "node:net"
import * as tls from "node:tls"
import { SocketReader } from "../sockets/socket-reader.ts"
import { socketLink } from "../transport/socket.ts"
import { peerOf } from "../transport/tcp.ts"
import { sessionAlpn } from "../transport/tls.ts"
import { Handshakes } from "./handshakes.ts"
import type { Relay } from "./relay.ts"

/** Both PEM; the server's certificate first, then those between it and its authority. */
export interface DoorSecrets {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

export interface DoorTls extends DoorSecrets {
  /** Another pair for who asks for this name (RFC 6066 section 3); undefined: the one above. Is to be quick. */
  readonly forName?: ((name: string) => DoorSecrets | undefined) | undefined
}

export class TlsDoor {
  readonly #relay: Relay
  readonly #tls: tls.Server
  readonly #handshakes: Handshakes

  constructor(relay: Relay, { key, cert, forName }: DoorTls) {
    this.#relay = relay
    const byName: tls.TlsOptions =
      forName === undefined ? {} : { SNICallback: (name, answer) => answerWith(answer, forName, name) }
    this.#tls = tls.createServer({
      key,
      cert,
      ...byName,
      ALPNProtocols: [sessionAlpn, "http/1.1"],
      allowHalfOpen: true,
      // From the accept to the end of the handshake, however often a byte comes.
      handshakeTimeout: relay.limits.tlsHandshakeMs,
    })
    this.#handshakes = new Handshakes(this.#tls, relay.limits.tlsHandshakes, { allowHalfOpen: true, noDelay: true })
    this.#tls.on("secureConnection", (socket) => this.#welcome(socket))
  }

  /** Whoever opens the door listens with it. */
  get server(): net.Server {
    return this.#handshakes.server
  }

  get pending(): number {
    return this.#handshakes.pending
  }

  get turnedAway(): number {
    return this.#handshakes.turnedAway
  }

  /** Shows another certificate from the next handshake on. Throws what Node says about a pair that it cannot use. */
  renew({ key, cert }: DoorSecrets): void {
    this.#tls.setSecureContext({ key, cert })
  }

  /** Cuts those that have not come in yet. */
  cut(): void {
    this.#handshakes.cut()
  }

  #welcome(socket: tls.TLSSocket): void {
    if (socket.alpnProtocol === sessionAlpn) {
      socket.pause()
      this.#relay.greet(socketLink(socket, { kind: "tls", peer: peerOf(socket), protected: true }))
      return
    }
    const reader = new SocketReader()
    socket.on("data", (bytes) => void reader.receive(bytes))
    this.#relay.http.take(socket, reader, "https", noBytes)
  }
}

/** Without a pair of its own for the name, the client gets the one for all. */
function answerWith(
  answer: (error: Error | null, context?: tls.SecureContext) => void,
  forName: NonNullable<DoorTls["forName"]>,
  name: string,
): void {
  let context: tls.SecureContext | undefined
  try {
    const secrets = forName(name)
    context = secrets && tls.createSecureContext({ key: secrets.key, cert: secrets.cert })
  } catch (error) {
    answer(error as Error)
    return
  }
  answer(null, context)
}

const noBytes = new Uint8Array(0)
