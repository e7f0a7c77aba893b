/**
 * A folder as a local service: `rdv http ./folder` starts this and tunnels to it as to any other. It listens on a unix
 * socket in a private folder (a named pipe on Windows), so that no port of the machine is opened.
 */

import { randomBytes } from "node:crypto"
import type { ReadStream } from "node:fs"
import { mkdtemp, realpath, rm, stat } from "node:fs/promises"
import { createServer } from "node:http"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join, relative, sep } from "node:path"
import send from "send"
import { RdvError } from "../../base/error.ts"
import type { Log } from "../../base/log.ts"
import { listingPolicy, readListing, renderListing } from "./folder-listing.ts"
import { encodePath, find, readFolderPath, refusalOf } from "./folder-path.ts"
import type { Found } from "./folder-path.ts"

export interface ServedFolder {
  readonly target: { readonly socketPath: string }
  /** Ends running transfers and removes the socket. Calling again joins the same end. */
  close(): Promise<void>
}

export interface FolderOptions {
  readonly log: Log
}

/**
 * Serves GET and HEAD: index.html, types, ranges, conditional requests, listings. Hidden files and links that lead out of
 * the folder do not exist. Throws `usage` when there is no such folder.
 */
export async function serveFolder(root: string, options: FolderOptions): Promise<ServedFolder> {
  await checkFolder(root)
  const server = createServer(serverOptions, (request, response) => {
    answer(root, request, response).catch((error: unknown) => {
      const status = refusalOf(error)
      if (status === undefined) options.log.error("folder.read_failed", { url: request.url, why: String(error) })
      fail(response, status ?? 500)
    })
  })
  // The agent's pool decides when its idle connections end; this side closing one races with its next request.
  server.keepAliveTimeout = 0
  const place = await makePlace()
  try {
    await listen(server, place.socketPath)
  } catch (error) {
    await place.remove()
    throw error
  }
  let ending: Promise<void> | undefined
  return {
    target: { socketPath: place.socketPath },
    close: () => (ending ??= close(server).then(() => place.remove())),
  }
}

/** Header bytes: what a relay passes, plus what it adds. Visitors before HTTP/1.1 may leave `Host` out. */
const serverOptions = { maxHeaderSize: 64 * 1024, requireHostHeader: false, noDelay: true }

async function checkFolder(root: string): Promise<void> {
  try {
    if ((await stat(await realpath(root))).isDirectory()) return
  } catch (error) {
    const missing = (error as { code?: string }).code === "ENOENT"
    throw new RdvError("usage", missing ? `There is no folder ${root}` : `The folder ${root} cannot be read`, {
      cause: error,
      mend: missing ? "check the path" : "check who may read it",
    })
  }
  throw new RdvError("usage", `${root} is a file, not a folder`, { mend: "give the folder that it is in" })
}

interface Place {
  readonly socketPath: string
  remove(): Promise<void>
}

/** Other users of the machine cannot reach it: `mkdtemp` makes the folder with mode 0700. */
async function makePlace(): Promise<Place> {
  if (process.platform === "win32") {
    return { socketPath: `\\\\.\\pipe\\rdv-folder-${randomBytes(16).toString("hex")}`, remove: () => Promise.resolve() }
  }
  // A socket's path has at most 104 bytes on macOS, 108 on Linux; some temporary folders are longer than that.
  const home = Buffer.byteLength(tmpdir()) > 70 ? "/tmp" : tmpdir()
  const folder = await mkdtemp(join(home, "rdv-folder-"))
  return {
    socketPath: join(folder, "http.sock"),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

function listen(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(socketPath, () => {
      server.off("error", reject)
      resolve()
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return fail(response, 405, { Allow: "GET, HEAD" })
  const target = request.url ?? ""
  const wanted = readFolderPath(target)
  if (typeof wanted === "number") return fail(response, wanted)
  const found = await find(root, wanted.segments)
  if (typeof found === "number") return fail(response, found)
  if (!found.stats.isDirectory()) {
    // Pipes and devices could block for ever, or never end.
    if (wanted.directory || !found.stats.isFile()) return fail(response, 404)
    return sendFile(found, request, response)
  }
  if (!wanted.directory) {
    const query = target.indexOf("?")
    const location = `${encodePath(wanted.segments)}/${query < 0 ? "" : target.slice(query)}`
    // Browsers keep a 301 for ever unless told; the folder may become a file.
    return fail(response, 301, { Location: location, "Cache-Control": "no-cache" })
  }
  const index = await find(root, [...wanted.segments, "index.html"])
  if (typeof index !== "number" && index.stats.isFile()) return sendFile(index, request, response)
  return sendListing(root, found.path, wanted.segments, response)
}

/** Settles when the exchange is over; rejects when the file cannot be read. */
function sendFile(found: Found, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader("X-Content-Type-Options", "nosniff")
  // The real path goes in, so that no link is followed a second time; it was judged already, dots too.
  const path = encodePath(relative(found.root, found.path).split(sep))
  return new Promise((resolve, reject) => {
    response.once("close", resolve)
    send(request, path, { root: found.root, dotfiles: "allow", index: false })
      .on("error", (error: Error & { status: number; headers?: Record<string, string> }) => {
        if (error.status >= 500) reject(error)
        else fail(response, error.status, error.headers)
      })
      .on("stream", (stream: ReadStream) => guardLength(stream, response))
      .pipe(response)
  })
}

/**
 * `Content-Length` is promised before the file is read. A file that shrinks meanwhile cuts the connection, so that nobody
 * takes the part for the whole; one that grows gives what was promised.
 */
function guardLength(stream: ReadStream, response: ServerResponse): void {
  const promised = Number(response.getHeader("Content-Length"))
  if (promised === 0) {
    // There is no range of zero bytes: the stream would send the first byte of a file that is no longer empty.
    stream.destroy()
    response.end()
    return
  }
  stream.once("end", () => {
    if (stream.bytesRead < promised) response.destroy()
  })
}

async function sendListing(
  root: string,
  path: string,
  segments: readonly string[],
  response: ServerResponse,
): Promise<void> {
  const page = renderListing(await readListing(root, path, segments))
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": Buffer.byteLength(page),
    "Cache-Control": "no-cache",
    "Content-Security-Policy": listingPolicy,
    "X-Content-Type-Options": "nosniff",
  })
  response.end(page)
}

const words: Readonly<Record<number, string>> = {
  301: "301 Moved Permanently\n\nIt is a folder: its address ends with a slash.\n",
  400: "400 Bad Request\n\nThe path of this request cannot be read.\n",
  403: "403 Forbidden\n\nThe agent may not read this file.\n",
  404: "404 Not Found\n\nThe served folder has nothing at this path.\n",
  405: "405 Method Not Allowed\n\nThis is a folder of files: use GET or HEAD.\n",
  412: "412 Precondition Failed\n\nThe file is not the one that the request asks for.\n",
  416: "416 Range Not Satisfiable\n\nThe file is shorter than that.\n",
  500: "500 Internal Server Error\n\nThe file could not be read; the agent's log says why.\n",
}

/** Ends an exchange with a few plain words; one whose head is already on its way is cut. */
function fail(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const body = words[status] ?? `${status}\n`
  response.writeHead(status, {
    ...headers,
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "X-Content-Type-Options": "nosniff",
  })
  response.end(body)
}
