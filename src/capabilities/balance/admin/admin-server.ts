/**
 * The doors to the admin API that are TCP ports: one with a token for everything, one for `/metrics` alone without any.
 * (The third door is the process's status socket, which takes `handle`.) A reload changes the doors; one that cannot be
 * opened changes nothing.
 */

import { createHash, timingSafeEqual } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { createServer } from "node:http"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { isIP } from "node:net"
import type { AddressInfo } from "node:net"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { hostPortText } from "../../../config/host-port.ts"
import type { HostPort } from "../../../config/host-port.ts"
import type { AdminSettings } from "../config/settings.ts"
import { answerAdmin, answerMetrics, sendError } from "./admin-routes.ts"
import type { Control } from "./control.ts"

export interface AdminServerOptions {
  readonly control: Control
  readonly log: Log
}

/** At most so many connections a door: it is no public service. */
const mostConnections = 64
const serverOptions = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  // Scrapers come every minute or more often.
  keepAliveTimeout: 70_000,
  maxHeaderSize: 16 * 1024,
  connectionsCheckingInterval: 2_000,
}
/** 128 bits in hexadecimal digits have 32. */
const leastTokenLength = 20

interface Door {
  readonly key: string
  readonly server: Server
  /** The hash of the token; undefined: metrics alone. */
  tokenHash: Uint8Array | undefined
}

export class AdminServer {
  readonly #options: AdminServerOptions
  #doors: readonly Door[] = []

  constructor(options: AdminServerOptions) {
    this.#options = options
  }

  /** For a door that lets only the right ones in. */
  readonly handle = (incoming: IncomingMessage, answer: ServerResponse): void => {
    answerAdmin(this.#options.control, incoming, answer)
  }

  /** `host:port` of each open door. */
  get addresses(): readonly string[] {
    return this.#doors.map(({ server }) => {
      const { address, port } = server.address() as AddressInfo
      return hostPortText({ host: address, port })
    })
  }

  /** Opens and closes doors. Rejects with `usage` or `in_use`, and then all is as before. */
  async apply({ listen, tokenFile, metrics }: AdminSettings): Promise<void> {
    const wanted = new Map<string, { readonly at: HostPort; readonly tokenHash: Uint8Array | undefined }>()
    if (listen !== undefined) wanted.set(hostPortText(listen), { at: listen, tokenHash: this.#readToken(tokenFile) })
    // On the same port as the API it is behind the token.
    if (metrics !== undefined && !wanted.has(hostPortText(metrics))) {
      wanted.set(hostPortText(metrics), { at: metrics, tokenHash: undefined })
    }
    const opened: Door[] = []
    try {
      for (const [key, { at, tokenHash }] of wanted) {
        if (!this.#doors.some((door) => door.key === key)) opened.push(await this.#open(key, at, tokenHash))
      }
    } catch (error) {
      await Promise.all(opened.map(close))
      throw error
    }
    const kept = this.#doors.filter(({ key }) => wanted.has(key))
    const gone = this.#doors.filter(({ key }) => !wanted.has(key))
    for (const door of kept) door.tokenHash = wanted.get(door.key)?.tokenHash
    this.#doors = [...kept, ...opened]
    await Promise.all(gone.map(close))
  }

  async stop(): Promise<void> {
    const doors = this.#doors
    this.#doors = []
    await Promise.all(doors.map(close))
  }

  async #open(key: string, at: HostPort, tokenHash: Uint8Array | undefined): Promise<Door> {
    const server = createServer(serverOptions)
    const door: Door = { key, server, tokenHash }
    server.maxConnections = mostConnections
    server.on("request", (incoming, answer) => this.#take(door, incoming, answer))
    await new Promise<void>((resolve, reject) => {
      // Once it listens, an error is one client that could not be taken, which must not end the process.
      server.on("error", (error: NodeJS.ErrnoException) => {
        const taken = error.code === "EADDRINUSE"
        const why = taken ? "is in use" : `cannot be listened at (${error.message})`
        reject(new RdvError(taken ? "in_use" : "usage", `The admin address ${key} ${why}`, { cause: error }))
      })
      server.listen(at.port, at.host, resolve)
    })
    return door
  }

  #take(door: Door, incoming: IncomingMessage, answer: ServerResponse): void {
    const { control } = this.#options
    if (door.tokenHash === undefined) {
      if (isMisled(incoming))
        sendError(answer, new RdvError("forbidden", "Metrics on loopback have no such name", misled))
      else answerMetrics(control, incoming, answer)
    } else if (bears(incoming, door.tokenHash)) answerAdmin(control, incoming, answer)
    else sendError(answer, new RdvError("unauthorized", "The token is missing or wrong", { mend: bearerMend }))
  }

  #readToken(file: string | undefined): Uint8Array {
    if (file === undefined) {
      throw new RdvError("usage", "The admin API on TCP has no token", { mend: "name a file that holds one" })
    }
    const token = readToken(file)
    if (token.length < leastTokenLength) {
      throw new RdvError("usage", `The token in ${file} is shorter than ${leastTokenLength} characters`, {
        mend: "write one with: openssl rand -hex 32",
      })
    }
    if (process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0) {
      this.#options.log.warn("admin.token_readable", { file, reason: "other users may read or write it: chmod 600" })
    }
    return hash(token)
  }
}

/**
 * A browser on this machine asks for a name of the web that was made to lead to loopback (DNS rebinding): the page of that
 * name could read the answer. Names of one word are none of the web.
 */
function isMisled({ headers: { host = "" }, socket }: IncomingMessage): boolean {
  const { localAddress = "" } = socket
  if (!/^(?:::ffff:)?127\.|^::1$/.test(localAddress)) return false
  const name = host.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "")
  return name.includes(".") && isIP(name) === 0 && !name.endsWith(".localhost") && !/^\[[\da-f:.]+\]$/.test(name)
}

const misled = { mend: "ask for localhost or an address" }
const bearerMend = "send Authorization: Bearer TOKEN"

function bears({ headers }: IncomingMessage, tokenHash: Uint8Array): boolean {
  const match = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")
  // Hashes have one length, and tell nothing about each other.
  return match !== null && timingSafeEqual(hash(match[1] as string), tokenHash)
}

function hash(token: string): Uint8Array {
  return createHash("sha256").update(token).digest()
}

/** Throws `usage`. */
export function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim()
  } catch (error) {
    throw new RdvError("usage", `The token file ${file} cannot be read (${(error as Error).message})`, { cause: error })
  }
}

function close({ server }: Door): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
