/**
 * TLS towards one target: verified unless the settings say otherwise, with the name, authorities and certificate that they
 * give. It resumes sessions, so that most connections cost the target no signature. Files are watched as for listeners.
 */

import { isIP } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { readPair } from "../../../certificates/certificate-pair.ts"
import { PairWatch } from "../../../certificates/pair-watch.ts"
import type { TargetTls } from "../config/settings.ts"
import { AuthorityFile } from "./authority-file.ts"

export interface TargetSecurityOptions {
  readonly settings: TargetTls
  /** Of the target's address; undefined when that is no host. */
  readonly host: string | undefined
  readonly clock: Clock
  readonly log: Log
}

export class TargetSecurity {
  readonly #settings: TargetTls
  readonly #name: string
  readonly #authority: AuthorityFile | undefined
  readonly #watch: PairWatch | undefined
  /** Made anew when a file has changed. */
  #context: tls.SecureContext | undefined
  /** The newest that the target gave, by protocols: a session stands for what was agreed on in it. */
  readonly #sessions: Map<string, Buffer> = new Map()

  /** Watches the files until `stop`. Throws `usage` when they cannot be used, or when nobody says what to verify. */
  constructor({ settings, host, clock, log }: TargetSecurityOptions) {
    this.#settings = settings
    const { serverName = host, ca, cert, key, verify } = settings
    if (serverName === undefined && verify) {
      throw new RdvError("usage", "Nobody says which name the target's certificate has to have", {
        mend: "give server-name under tls, or verify: false",
      })
    }
    this.#name = serverName ?? ""
    const files = cert === undefined || key === undefined ? undefined : { cert, key }
    const pair = files && readPair(files)
    const onChanged = () => this.#forget()
    this.#authority = ca === undefined ? undefined : new AuthorityFile({ file: ca, clock, log, onChanged })
    const mend = `renew ${cert} and its key`
    this.#watch = pair && new PairWatch({ clock, log, files, pair, onRenewed: onChanged, mend })
  }

  /**
   * Begins TLS on a connection; `secureConnect` or `error` follows, and the caller limits the time. `agreed` is the
   * protocol that the client's side agreed on, which is passed on unless the settings have their own.
   */
  secure(connection: Duplex, agreed: string | undefined): tls.TLSSocket {
    const protocols = this.#settings.alpn ?? (agreed === undefined ? [] : [agreed])
    const key = protocols.join("\n")
    const session = this.#sessions.get(key)
    const name = this.#name
    this.#context ??= this.#makeContext()
    const context = this.#context
    const socket = tls.connect({
      socket: connection,
      secureContext: context,
      minVersion: "TLSv1.2",
      rejectUnauthorized: this.#settings.verify,
      // An IP address may not be sent as a name (RFC 6066 section 3); the certificate is checked against it all the same.
      ...(isIP(name) === 0 && name !== "" ? { servername: name } : { host: name, servername: "" }),
      ...(protocols.length > 0 && { ALPNProtocols: alpnList(protocols) }),
      ...(session !== undefined && { session }),
    })
    socket.on("session", (fresh: Buffer) => {
      if (this.#context !== context) return
      if (this.#sessions.size >= mostSessions) this.#sessions.clear()
      this.#sessions.set(key, fresh)
    })
    return socket
  }

  /** Reads all files now. What cannot be used is told in the log, and what we have stays. */
  reload(): void {
    this.#watch?.reload()
    this.#authority?.reload()
  }

  stop(): void {
    this.#watch?.stop()
    this.#authority?.stop()
  }

  #forget(): void {
    this.#context = undefined
    this.#sessions.clear()
  }

  #makeContext(): tls.SecureContext {
    const pair = this.#watch?.pair
    const ca = this.#authority?.pem
    return tls.createSecureContext({
      minVersion: "TLSv1.2",
      ...(ca !== undefined && { ca }),
      ...(pair && { cert: pair.cert, key: pair.key }),
    })
  }
}

/** Protocols that clients may choose are not ours to count. */
const mostSessions = 16

/** As it goes over the wire (RFC 7301 section 3.1): names need not be text. */
function alpnList(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, "latin1")))
}
