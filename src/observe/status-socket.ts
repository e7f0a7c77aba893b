/**
 * How `rdv status` finds the processes of a user: each listens on a socket of its own in one private folder and answers
 * `GET /status` with JSON. Only the same user can reach it (socket 0600 in a folder 0700; a pipe with that default on
 * Windows, where a file beside it tells its name).
 */

import { createHash } from "node:crypto"
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, request } from "node:http"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import type { JsonObject } from "../base/json.ts"

/** `local` is an agent with a relay in the same process, `tab` a server of an application. */
export type ProcessRole = "relay" | "agent" | "local" | "balance" | "tab"

export interface StatusSocketOptions {
  /** The user's state folder. */
  readonly stateFolder: string
  readonly role: ProcessRole
  /** Called for each request. */
  readonly read: () => JsonObject | Promise<JsonObject>
  /** Takes every other request: whoever can reach the socket may do what the process's own user may. */
  readonly handle?: (incoming: IncomingMessage, answer: ServerResponse) => void
}

export interface StatusSocket {
  readonly path: string
  close(): Promise<void>
}

export interface FoundProcess {
  readonly role: ProcessRole
  readonly pid: number
  /** Its socket. */
  readonly path: string
  /** Undefined when it did not answer in time: it is stopped or overloaded. */
  readonly status: JsonObject | undefined
}

/** An answer that does not come within this is none, ms. */
const answerMs = 2_000
/** A relay with 10,000 sessions tells some megabytes. */
const maxAnswerBytes = 64 * 1024 * 1024
/** `sun_path` holds 104 bytes on macOS, 108 on Linux. */
const maxPathBytes = 100

/** Rejects with `usage` when the folder cannot be used. */
export async function openStatusSocket(options: StatusSocketOptions): Promise<StatusSocket> {
  const folder = runFolder(options.stateFolder)
  makePrivate(folder)
  // What dead processes left.
  await readStatuses(options.stateFolder, 0)
  const file = join(folder, `${options.role}-${process.pid}.sock`)
  const path = pipeFor(file) ?? file
  rmSync(file, { force: true })
  const server = createServer((incoming, answer) => {
    const known = incoming.method === "GET" && incoming.url === "/status"
    if (!known && options.handle !== undefined) {
      options.handle(incoming, answer)
      return
    }
    incoming.resume()
    void tell(answer, known ? 200 : 404, known ? options.read : () => ({ error: "GET /status is all there is" }))
  })
  await listen(server, path, file)
  // It answers while the process lives, and does not keep it alive.
  server.unref()
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(file, { force: true })
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

/** The living processes, relays first. Sockets of dead ones are removed. */
export async function readStatuses(stateFolder: string, waitMs: number = answerMs): Promise<FoundProcess[]> {
  const folder = runFolder(stateFolder)
  const found = await Promise.all(
    filesOf(folder).map(async (name): Promise<FoundProcess | undefined> => {
      const match = /^(relay|agent|local|balance|tab)-(\d{1,10})\.sock$/.exec(name)
      if (match === null) return undefined
      const file = join(folder, name)
      const path = pipeFor(file) ?? file
      const answer = await ask(path, waitMs)
      if (answer === "gone") {
        rmSync(file, { force: true })
        return undefined
      }
      return { role: match[1] as ProcessRole, pid: Number(match[2]), path, status: answer }
    }),
  )
  const order: readonly ProcessRole[] = ["relay", "local", "agent", "balance", "tab"]
  return found
    .filter((each) => each !== undefined)
    .toSorted((a, b) => order.indexOf(a.role) - order.indexOf(b.role) || a.pid - b.pid)
}

async function tell(answer: ServerResponse, status: number, read: StatusSocketOptions["read"]): Promise<void> {
  const headers = { "Content-Type": "application/json", Connection: "close" }
  try {
    const text = JSON.stringify(await read())
    answer.writeHead(status, headers).end(`${text}\n`)
  } catch (error) {
    answer.writeHead(500, headers).end(`${JSON.stringify({ error: (error as Error).message })}\n`)
  }
}

/** Below the state folder, or where its path would be too long for a socket, in the system's folder for such things. */
function runFolder(stateFolder: string): string {
  const folder = join(stateFolder, "run")
  if (process.platform === "win32" || Buffer.byteLength(folder) + "/balance-4194304.sock".length <= maxPathBytes)
    return folder
  const hash = createHash("sha256").update(folder).digest("hex").slice(0, 12)
  return join(tmpdir(), `rdv-${userInfo().uid}-${hash}`)
}

function makePrivate(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (process.platform === "win32") return
    // In a folder for everybody somebody else may have been first.
    const { uid } = lstatSync(folder)
    if (!lstatSync(folder).isDirectory() || uid !== userInfo().uid) throw new Error("it belongs to somebody else")
    chmodSync(folder, 0o700)
  } catch (error) {
    throw new RdvError(
      "usage",
      `The folder ${folder} for status sockets cannot be used (${(error as Error).message})`,
      {
        cause: error,
        mend: "check that it is yours, or set RDV_DATA to another folder",
      },
    )
  }
}

/** Windows has no sockets in folders; the file only marks that there is a pipe. */
function pipeFor(file: string): string | undefined {
  if (process.platform !== "win32") return undefined
  try {
    return readFileSync(file, "utf8")
  } catch {
    return `\\\\.\\pipe\\rdv-${createHash("sha256").update(file).digest("hex").slice(0, 24)}`
  }
}

function listen(server: Server, path: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(new RdvError("usage", `The status socket ${path} cannot be opened (${error.message})`, { cause: error }))
    })
    server.listen(path, () => {
      if (path === file) chmodSync(path, 0o600)
      else writeFileSync(file, path, { mode: 0o600 })
      resolve()
    })
  })
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return []
    throw new RdvError("usage", `The folder ${folder} cannot be read`, { cause: error, mend: "check who may read it" })
  }
}

/** Undefined for a process that holds its socket and does not answer. */
function ask(socketPath: string, waitMs: number): Promise<JsonObject | "gone" | undefined> {
  return new Promise((resolve) => {
    const asking = request({ socketPath, path: "/status", agent: false }, (answer) => {
      const chunks: Buffer[] = []
      let size = 0
      answer.on("data", (chunk: Buffer) => {
        size += chunk.length
        if (size > maxAnswerBytes) asking.destroy()
        else chunks.push(chunk)
      })
      answer.on("end", () => settle(readJson(Buffer.concat(chunks).toString("utf8"))))
    })
    const settle = (result: JsonObject | "gone" | undefined) => {
      clearTimeout(timer)
      asking.destroy()
      resolve(result)
    }
    const timer = setTimeout(() => settle(undefined), waitMs)
    asking.on("error", (error: NodeJS.ErrnoException) => {
      settle(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? "gone" : undefined)
    })
    asking.on("close", () => settle(undefined))
    asking.end()
  })
}

function readJson(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    // Half an answer of a process that ended meanwhile.
    return undefined
  }
}
