/** Unix sockets, and named pipes on Windows: links within one machine, guarded by the rights of a file. */

import { chmodSync, existsSync, lstatSync, unlinkSync } from "node:fs"
import * as net from "node:net"
import { dirname } from "node:path"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { printAddress } from "./address.ts"
import { connectDirectly } from "./connect.ts"
import { acceptedLink, socketLink } from "./socket.ts"
import { SocketReader, tryAdoption } from "../sockets/socket-reader.ts"
import { cannotListen, closeServer } from "./tcp.ts"
import type { DialLimits, Listener } from "./transport.ts"

export async function dialUnix(address: Address, limits: DialLimits): Promise<Link> {
  if (address.scheme !== "unix") throw new RdvError("usage", `${printAddress(address)} is not a unix address`)
  const reader = new SocketReader()
  const socket = await connectDirectly({ path: address.path }, { ...limits, reader }, address.path)
  return socketLink(socket, { kind: "unix", peer: printAddress(address), protected: true, reader })
}

/**
 * Only the same user may connect (mode 0600). A socket file that a dead process left is replaced; a live one is refused
 * with `in_use`, another kind of file with `usage`.
 */
export async function listenUnix(options: { readonly path: string }, onLink: (link: Link) => void): Promise<Listener> {
  const { path } = options
  await tryAdoption()
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    onLink(acceptedLink(socket, { kind: "unix", peer: `unix:${path}`, protected: true }))
  })
  try {
    await bind(server, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || isPipe(path)) throw cannotListenAt(path, error)
    await removeStale(path)
    await bind(server, path).catch((again: unknown) => {
      throw cannotListenAt(path, again)
    })
  }
  // After the bind, errors are of single accepts (out of descriptors): the listener goes on.
  server.on("error", () => undefined)
  return { address: { scheme: "unix", path }, close: () => closeServer(server) }
}

function bind(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(path, () => {
      server.off("error", reject)
      resolve()
    })
    // The file exists as soon as `listen` has returned; nobody is accepted before this turn is over.
    if (!isPipe(path) && server.listening) chmodSync(path, 0o600)
  })
}

async function removeStale(path: string): Promise<void> {
  if (!lstatSync(path).isSocket()) {
    throw new RdvError("usage", `${path} exists and is not a socket`, { mend: "choose another path" })
  }
  const probe = net.connect(path)
  const code = await new Promise<string | undefined>((resolve) => {
    probe.once("connect", () => resolve(undefined))
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code))
  })
  probe.destroy()
  if (code === "ECONNREFUSED") unlinkSync(path)
  else if (code !== "ENOENT") {
    throw new RdvError("in_use", `${path} is in use by another process`, {
      mend: "stop that process or choose another path",
    })
  }
}

function cannotListenAt(path: string, error: unknown): RdvError {
  const { code } = error as NodeJS.ErrnoException
  if (code === "EINVAL") {
    return new RdvError("usage", `The path ${path} is too long for a socket`, {
      cause: error,
      mend: "choose one of at most 100 bytes",
    })
  }
  if (code === "ENOENT" || code === "EACCES") {
    // libuv reports a missing folder as a missing right.
    const why = existsSync(dirname(path)) ? "no right" : "no such folder"
    return new RdvError("usage", `Cannot create the socket ${path}: ${why}`, {
      cause: error,
      mend: "create the folder with rights for this user, or choose another path",
    })
  }
  return cannotListen(path, error as NodeJS.ErrnoException)
}

function isPipe(path: string): boolean {
  return /^\\\\[.?]\\pipe\\/i.test(path)
}
