/** Opens a socket and waits for its handshakes, with a deadline, a signal, and errors for people. */

import * as net from "node:net"
import { RdvError } from "../base/error.ts"
import type { SocketReader } from "../sockets/socket-reader.ts"
import type { DialLimits } from "./transport.ts"

/** `place` is how errors call the target. */
export async function connectDirectly(
  target: { readonly host: string; readonly port: number } | { readonly path: string },
  limits: DialLimits & { readonly reader?: SocketReader; readonly lookup?: net.LookupFunction },
  place: string,
): Promise<net.Socket> {
  limits.signal?.throwIfAborted()
  const socket = net.connect({
    ...target,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    ...(limits.lookup !== undefined && { lookup: limits.lookup }),
    ...(limits.reader !== undefined && { onread: limits.reader.onread }),
  })
  socket.pause()
  await untilEvent(socket, "connect", place, limits)
  return socket
}

/** Waits for an event of a socket that is being opened; destroys it when that fails. */
export function untilEvent(
  socket: net.Socket,
  event: string,
  place: string,
  limits: DialLimits,
  explain: (place: string, error: NodeJS.ErrnoException) => RdvError = cannotReach,
): Promise<void> {
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
    const onError = (error: NodeJS.ErrnoException) => settle(error instanceof RdvError ? error : explain(place, error))
    const onClose = () => settle(new RdvError("unreachable", `${place} closed the connection`))
    const onAbort = () => settle(limits.signal?.reason ?? new RdvError("closed"))
    const onTimeout = () => settle(new RdvError("timeout", `${place} did not answer in time`))
    const timer = setTimeout(onTimeout, limits.timeoutMs)
    socket.on(event, onEvent)
    socket.on("error", onError)
    socket.on("close", onClose)
    limits.signal?.addEventListener("abort", onAbort, { once: true })
    if (limits.signal?.aborted) onAbort()
  })
}

const reasons: Record<string, string> = {
  ENOENT: "no such socket",
  EACCES: "no right to connect",
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
  const reason = reasons[error.code ?? ""] ?? error.message
  return new RdvError("unreachable", `Cannot reach ${place}: ${reason}`, { cause: error })
}
