/** A running balancer's control, from another process: through its socket, or through a TCP port with a token. */

import { request as httpRequest } from "node:http"
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http"
import { request as httpsRequest } from "node:https"
import { RdvError, errorCodes } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Snapshot } from "../observe/snapshot.ts"
import type { Control, LiveConnection, ReloadResult, TargetChange } from "./control.ts"

export type AdminAddress =
  | { readonly kind: "socket"; readonly path: string }
  /** `http:` or `https:`; its path stands ahead of the API's. */
  | { readonly kind: "url"; readonly url: URL; readonly token: string | undefined }

/** A reload may have to open ports and read files of many ranges. */
const answerMs = 15_000
const mostAnswerBytes = 64 * 1024 * 1024

/**
 * Every call rejects with `unreachable` or `timeout` when there is no answer, with `bad_response` when it is none of a
 * balancer, and else with what the balancer says.
 */
export class AdminClient implements Control {
  readonly #address: AdminAddress

  constructor(address: AdminAddress) {
    this.#address = address
  }

  async snapshot(): Promise<Snapshot> {
    const state = await this.#json("GET", "/v1/state")
    if (!Array.isArray(state["apps"])) throw notOurs()
    return state as unknown as Snapshot
  }

  async connections(most: number): Promise<readonly LiveConnection[]> {
    const { connections } = await this.#json("GET", `/v1/connections?most=${most}`)
    if (!Array.isArray(connections)) throw notOurs()
    return connections as unknown as readonly LiveConnection[]
  }

  async reload(): Promise<ReloadResult> {
    const { changed } = await this.#json("POST", "/v1/reload")
    if (!Array.isArray(changed)) throw notOurs()
    return { changed: changed.map(String) }
  }

  async target(app: string, name: string, change: TargetChange): Promise<void> {
    await this.#json("POST", targetPath(app, name), { ...change })
  }

  async addTarget(app: string, text: string): Promise<void> {
    await this.#json("POST", targetPath(app), { target: text })
  }

  async removeTarget(app: string, name: string): Promise<void> {
    await this.#json("DELETE", targetPath(app, name))
  }

  async cut(connectionId: number): Promise<boolean> {
    try {
      await this.#json("DELETE", `/v1/connections/${connectionId}`)
      return true
    } catch (error) {
      if (error instanceof RdvError && error.code === "no_route") return false
      throw error
    }
  }

  configuration(): Promise<string> {
    return this.#text("GET", "/v1/configuration")
  }

  async #json(method: string, path: string, body?: JsonObject): Promise<JsonObject> {
    const value = parsed(await this.#text(method, path, body))
    if (!isJsonObject(value)) throw notOurs()
    return value
  }

  #text(method: string, path: string, body?: JsonObject): Promise<string> {
    return new Promise((resolve, reject) => {
      const asking = this.#open(method, path, body)
      const timer = setTimeout(() => fail(new RdvError("timeout", "The balancer does not answer")), answerMs)
      const fail = (error: RdvError) => {
        clearTimeout(timer)
        reject(error)
        asking.destroy()
      }
      asking.on("response", (answer) => {
        collect(answer).then(
          (text) => {
            clearTimeout(timer)
            if (answer.statusCode !== undefined && answer.statusCode < 300) resolve(text)
            else fail(errorOf(text))
          },
          (error: Error) => fail(unreachable(error)),
        )
      })
      asking.on("error", (error) => fail(unreachable(error)))
    })
  }

  #open(method: string, path: string, body: JsonObject | undefined): ClientRequest {
    const text = body === undefined ? "" : JSON.stringify(body)
    const headers = { ...(body !== undefined && { "Content-Type": "application/json" }), Host: "balancer" }
    const address = this.#address
    const options: RequestOptions = { method, agent: false, headers }
    if (address.kind === "socket") return httpRequest({ ...options, socketPath: address.path, path }).end(text)
    const { url, token } = address
    const open = url.protocol === "https:" ? httpsRequest : httpRequest
    return open(new URL(url.pathname.replace(/\/$/, "") + path, url), {
      ...options,
      headers: {
        ...headers,
        Host: url.host,
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      },
    }).end(text)
  }
}

function targetPath(app: string, name?: string): string {
  const targets = `/v1/apps/${encodeURIComponent(app)}/targets`
  return name === undefined ? targets : `${targets}/${encodeURIComponent(name)}`
}

async function collect(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostAnswerBytes) throw new Error("it answers without end")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

function errorOf(text: string): RdvError {
  const value = parsed(text)
  const error = isJsonObject(value) ? value["error"] : undefined
  if (!isJsonObject(error)) return notOurs()
  const { code, message, mend } = error
  if (typeof message !== "string") return notOurs()
  const known = typeof code === "string" && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "internal"
  return new RdvError(known, message, { origin: "remote", ...(typeof mend === "string" && { mend }) })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(error: Error): RdvError {
  return new RdvError("unreachable", `The balancer cannot be reached (${error.message})`, { cause: error })
}

function notOurs(): RdvError {
  return new RdvError("bad_response", "What answers there is no balancer", { mend: "check the address" })
}
