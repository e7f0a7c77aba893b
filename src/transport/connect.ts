/** Opens a TCP connection, straight or through an HTTP proxy, with one deadline over all steps and errors for people. */

import * as net from "node:net"
import { emptyBytes } from "../base/bytes.ts"
import { RdvError } from "../base/error.ts"
import { printHostPort } from "./address.ts"
import type { SocketReader } from "./socket-reader.ts"
import type { DialLimits } from "./transport.ts"

export interface ConnectLimits extends DialLimits {
  readonly proxy?: URL
  /** Reads for a link without a proxy. */
  readonly reader?: SocketReader
}

export interface Connected {
  /** Paused. */
  readonly socket: net.Socket
  /** What arrived behind the proxy's answer. */
  readonly head: Uint8Array
}

/** An empty host is this machine. Rejects with `unreachable`, `timeout`, or what the proxy refused. */
export async function connectSocket(target: { host: string; port: number }, limits: ConnectLimits): Promise<Connected> {
  const host = target.host === "" ? "localhost" : target.host
  return { socket: await connectDirectly({ host, port: target.port }, limits), head: emptyBytes }
}

function connectDirectly(target: { host: string; port: number }, limits: ConnectLimits): Promise<net.Socket> {
  const place = printHostPort(target.host, target.port)
  const socket = net.connect({
    ...target,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    ...(limits.reader !== undefined && { onread: limits.reader.onread }),
  })
  socket.pause()
  return untilEvent(socket, "connect", place, limits).then(() => socket)
}

/** Waits for an event of a socket that is being opened; destroys it when that fails. */
export function untilEvent(socket: net.Socket, event: string, place: string, limits: DialLimits): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      clearTimeout(timer)
      limits.signal?.removeEventListener("abort", onAbort)
      socket.off(event, onEvent)
      socket.off("error", onError)
      socket.off("close", onClose)
      if (error === undefined) {
        resolve()
        return
      }
      socket.on("error", () => undefined)
      socket.destroy()
      reject(error as Error)
    }
    const onEvent = () => settle()
    const onError = (error: NodeJS.ErrnoException) => settle(cannotReach(place, error))
    const onClose = () => settle(new RdvError("unreachable", `${place} closed the connection`))
    const onAbort = () => settle(limits.signal?.reason ?? new RdvError("closed"))
    const onTimeout = () => settle(new RdvError("timeout", `${place} did not answer within ${limits.timeoutMs} ms`))
    const timer = setTimeout(onTimeout, limits.timeoutMs)
    socket.on(event, onEvent)
    socket.on("error", onError)
    socket.on("close", onClose)
    limits.signal?.addEventListener("abort", onAbort, { once: true })
    if (limits.signal?.aborted) onAbort()
  })
}

const reasons: Record<string, string> = {
  ECONNREFUSED: "the connection is refused",
  ENOTFOUND: "no such name",
  EAI_AGAIN: "the name cannot be looked up now",
  EHOSTUNREACH: "no way to that host",
  ENETUNREACH: "no way to that network",
  ETIMEDOUT: "no answer",
  ECONNRESET: "the connection was reset",
}

/** One line for a person about an error of `connect`. */
export function cannotReach(place: string, error: NodeJS.ErrnoException): RdvError {
  if (error instanceof RdvError) return error
  const reason = reasons[error.code ?? ""] ?? error.message
  return new RdvError("unreachable", `Cannot reach ${place}: ${reason}`, { cause: error })
}
