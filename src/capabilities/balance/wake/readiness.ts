/** When a woken target counts as ready: it takes a connection, or answers one request over HTTP. */

import { connect } from "node:net"
import type { NetConnectOpts } from "node:net"
import type { Duplex } from "node:stream"
import { RdvError } from "../../../base/error.ts"
import { requestHeadBytes } from "../../../http1/write-head.ts"
import { ResponseReader } from "../../../http1/response-reader.ts"
import type { TargetAddress, WakeSettings } from "../config/settings.ts"
import { addressText } from "../target/target.ts"

/** One look: resolves when it is ready, rejects when it is not or when the signal fires. */
export type Probe = (ready: WakeSettings["ready"], signal: AbortSignal) => Promise<void>

/** Resolves with a connection to the target; rejects when there is none or when the signal fires. */
export type ConnectProbe = (signal: AbortSignal) => Promise<Duplex>

/** Looks through connections that somebody else makes: over TLS, or through agents. `host` is for HTTP's field. */
export function probeOver(open: ConnectProbe, host: string): Probe {
  return async (ready, signal) => {
    const connection = await open(signal)
    try {
      if (ready.kind === "http") await askHttp(connection, ready.path, host, signal)
    } finally {
      connection.destroy()
    }
  }
}

/** Looks through connections of our own; `rdv:` targets cannot be reached that way. */
export function probeDirectly(address: TargetAddress): Probe {
  return probeOver(
    (signal) => openDirectly(address, signal),
    address.kind === "unix" ? "localhost" : addressText(address),
  )
}

function openDirectly(address: TargetAddress, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    if (address.kind === "rdv") throw new RdvError("internal", `${addressText(address)} needs a probe of its own`)
    const to: NetConnectOpts =
      address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port }
    const socket = connect(to)
    const onAbort = () => socket.destroy(signal.reason as Error)
    signal.addEventListener("abort", onAbort, { once: true })
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort)
      socket.off("error", reject)
      // Whoever gets it listens for itself; until then nothing may be thrown.
      socket.on("error", () => undefined)
      resolve(socket)
    })
    socket.once("error", reject)
    socket.once("close", () => signal.removeEventListener("abort", onAbort))
  })
}

/** Rejects unless the answer's status is 200 to 399. */
function askHttp(connection: Duplex, path: string, host: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const reader = new ResponseReader()
    const fail = (error: unknown) => {
      signal.removeEventListener("abort", onAbort)
      reject(error as Error)
    }
    const onAbort = () => fail(signal.reason)
    signal.addEventListener("abort", onAbort, { once: true })
    connection.on("error", fail)
    connection.on("close", () => fail(new RdvError("unreachable", "it closed the connection without an answer")))
    connection.on("data", (chunk: Uint8Array) => {
      try {
        let read = reader.push(chunk)
        // Interim answers come before the one that counts.
        while (read !== undefined && read.head.status < 200) read = reader.push(chunk, read.used)
        if (read === undefined) return
        const { status } = read.head
        signal.removeEventListener("abort", onAbort)
        if (status < 400) resolve()
        else fail(new RdvError("unreachable", `HTTP ${status}`))
      } catch (error) {
        fail(error)
      }
    })
    // It comes paused from a dial, and a listener alone does not change that.
    connection.resume()
    const headers = ["Host", host, "User-Agent", "rdv", "Connection", "close"]
    connection.write(requestHeadBytes({ method: "GET", target: path, minor: 1, headers }))
  })
}
