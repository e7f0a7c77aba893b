/**
 * The admin API: what HTTP requests mean to a `Control`. Whoever gets here may do everything, so who may come is decided
 * before: by the socket's folder, or by a token. docs/reference/balance-admin.md is its contract.
 */

import type { IncomingMessage, ServerResponse } from "node:http"
import { RdvError, asRdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import { expositionType } from "../../../base/exposition.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import { mostWeight } from "../config/target-form.ts"
import { metricsText } from "../observe/metrics.ts"
import type { Orders } from "../target/target.ts"
import type { Control, TargetChange } from "./control.ts"

const mostBodyBytes = 64 * 1024
/** Of live connections in one answer. */
const mostConnections = 100_000

/** Answers every request, also the wrong ones. */
export function answerAdmin(control: Control, incoming: IncomingMessage, answer: ServerResponse): void {
  route(control, incoming).then(
    (reply) => send(answer, reply),
    (thrown: unknown) => sendError(answer, asRdvError(thrown)),
  )
}

/** `GET /metrics` and nothing else. */
export function answerMetrics(control: Control, incoming: IncomingMessage, answer: ServerResponse): void {
  if (pathOf(incoming).path === "/metrics") answerAdmin(control, incoming, answer)
  else sendError(answer, new RdvError("no_route", "Only /metrics is here"))
}

/** `{"error": {"code", "message", "mend"}}`. */
export function sendError(answer: ServerResponse, error: RdvError): void {
  const { code, message, mend } = error
  const status = error instanceof WrongMethod ? 405 : (statuses[code] ?? 500)
  const headers: Record<string, string> = {
    ...(error instanceof WrongMethod && { Allow: error.allowed.join(", ") }),
    ...(status === 401 && { "WWW-Authenticate": "Bearer" }),
    // What is left of the request is not worth reading.
    Connection: "close",
  }
  send(answer, { ...jsonReply({ error: { code, message, mend } }, status), headers })
}

interface Reply {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Call {
  readonly control: Control
  readonly query: URLSearchParams
  /** The parts of the path that stand in for the pattern's `*`. */
  readonly words: readonly string[]
  readonly body: () => Promise<JsonObject>
}

type Action = (call: Call) => Reply | Promise<Reply>

const statuses: Partial<Record<ErrorCode, number>> = {
  usage: 400,
  protocol: 400,
  unauthorized: 401,
  forbidden: 403,
  no_route: 404,
  limit: 413,
  timeout: 504,
  draining: 503,
}

/** Pattern → method → what it does. */
const routes: readonly (readonly [pattern: readonly string[], actions: Readonly<Record<string, Action>>])[] = [
  [["metrics"], { GET: async ({ control }) => textReply(expositionType, metricsText(await control.snapshot())) }],
  [["v1", "state"], { GET: async ({ control }) => jsonReply(await control.snapshot()) }],
  [
    ["v1", "configuration"],
    { GET: async ({ control }) => textReply("application/yaml; charset=utf-8", await control.configuration()) },
  ],
  [["v1", "reload"], { POST: async ({ control }) => jsonReply(await control.reload()) }],
  [["v1", "connections"], { GET: listConnections }],
  [["v1", "connections", "*"], { DELETE: cutConnection }],
  [["v1", "apps", "*", "targets"], { POST: addTarget }],
  [["v1", "apps", "*", "targets", "*"], { POST: changeTarget, DELETE: removeTarget }],
]

async function route(control: Control, incoming: IncomingMessage): Promise<Reply> {
  const { path, query } = pathOf(incoming)
  const parts = path.split("/").slice(1).map(decoded)
  const method = incoming.method === "HEAD" ? "GET" : (incoming.method ?? "")
  for (const [pattern, actions] of routes) {
    if (pattern.length !== parts.length || !pattern.every((each, at) => each === "*" || each === parts[at])) continue
    const action = Object.hasOwn(actions, method) ? actions[method] : undefined
    if (action === undefined) throw new WrongMethod(Object.keys(actions))
    const words = parts.filter((_, at) => pattern[at] === "*")
    return action({ control, query, words, body: () => readBody(incoming) })
  }
  throw new RdvError("no_route", `There is nothing at ${path.slice(0, 200)}`, { mend: "see balance-admin.md" })
}

async function listConnections({ control, query }: Call): Promise<Reply> {
  const text = query.get("most") ?? "1000"
  const most = /^\d{1,6}$/.test(text) ? Math.min(Number(text), mostConnections) : undefined
  if (most === undefined) throw new RdvError("usage", `most=${text.slice(0, 20)} is not a number`)
  return jsonReply({ connections: await control.connections(most) })
}

async function cutConnection({ control, words: [id = ""] }: Call): Promise<Reply> {
  const found = /^\d{1,15}$/.test(id) && (await control.cut(Number(id)))
  if (!found) throw new RdvError("no_route", `There is no connection ${id.slice(0, 20)}`, { mend: "it may be over" })
  return jsonReply({ cut: Number(id) })
}

async function addTarget({ control, words: [app = ""], body }: Call): Promise<Reply> {
  const { target, ...others } = await body()
  refuseOthers(others, ["target"])
  if (typeof target !== "string") throw new RdvError("usage", '"target" is no text', { mend: 'write "10.0.0.4:80"' })
  await control.addTarget(app, target)
  return jsonReply({ app, target }, 201)
}

async function changeTarget({ control, words: [app = "", name = ""], body }: Call): Promise<Reply> {
  const { orders, weight, ...others } = await body()
  refuseOthers(others, ["orders", "weight"])
  if (orders === undefined && weight === undefined) {
    throw new RdvError("usage", "There is nothing to change", { mend: 'give "orders" or "weight"' })
  }
  if (orders !== undefined && !isOrders(orders)) {
    throw new RdvError("usage", '"orders" is not known', { mend: "use serve, drain or disable" })
  }
  if (weight !== undefined && !(typeof weight === "number" && weight >= 0 && weight <= mostWeight)) {
    throw new RdvError("usage", `"weight" is no number from 0 to ${mostWeight}`)
  }
  const change: TargetChange = {
    ...(orders !== undefined && { orders }),
    ...(weight !== undefined && { weight }),
  }
  await control.target(app, name, change)
  return jsonReply({ app, target: name, ...change })
}

async function removeTarget({ control, words: [app = "", name = ""] }: Call): Promise<Reply> {
  await control.removeTarget(app, name)
  return jsonReply({ app, target: name })
}

function isOrders(value: unknown): value is Orders {
  return value === "serve" || value === "drain" || value === "disable"
}

function refuseOthers(others: JsonObject, known: readonly string[]): void {
  const [other] = Object.keys(others)
  if (other === undefined) return
  throw new RdvError("usage", `${JSON.stringify(other.slice(0, 50))} is not known here`, {
    mend: `known are ${known.join(", ")}`,
  })
}

async function readBody(incoming: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostBodyBytes) throw new RdvError("limit", `The body is longer than ${mostBodyBytes} bytes`)
    chunks.push(chunk)
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"))
    if (isJsonObject(value)) return value
  } catch {
    // Said below.
  }
  throw new RdvError("usage", "The body is no JSON object", { mend: 'send one, such as {"orders": "drain"}' })
}

function pathOf({ url = "" }: IncomingMessage): { readonly path: string; readonly query: URLSearchParams } {
  const mark = url.indexOf("?")
  return mark < 0
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark)) }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new RdvError("usage", "The path is not percent-encoded well")
  }
}

class WrongMethod extends RdvError {
  readonly allowed: readonly string[]

  constructor(allowed: readonly string[]) {
    super("usage", `Only ${allowed.join(" and ")} can be done here`)
    this.allowed = allowed
  }
}

function jsonReply(value: object, status = 200): Reply {
  return { status, type: "application/json", text: `${JSON.stringify(value)}\n` }
}

function textReply(type: string, text: string): Reply {
  return { status: 200, type, text }
}

function send(answer: ServerResponse, { status, type, text, headers }: Reply): void {
  answer.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  })
  answer.end(text)
}
