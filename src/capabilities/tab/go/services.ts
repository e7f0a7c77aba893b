/** What a Go program has of its host beside the database: other servers, files, its identity, the log. */

import { concat } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { latin1Decode, latin1Encode, utf8Decode, utf8Encode } from "../../../base/text.ts"
import type { AppLog, TabEnv } from "../app/env.ts"
import type { BlobFacts } from "../app/blobs.ts"
import type { OwnFlow } from "./flow.ts"
import { fieldsOf, linesOf } from "./head-lines.ts"
import { Inlet } from "./inlet.ts"
import type { Outlet } from "./outlet.ts"

/** Sends the request whose head Go gives; its body is what the flow's outlet gets. */
export async function callPeer(env: TabEnv, flow: OwnFlow, payload: Uint8Array): Promise<Uint8Array> {
  const lines = latin1Decode(payload).split("\n")
  const [name = "", method = "", target = ""] = lines
  const headers = fieldsOf(lines, 4)
  const { outlet, signal } = flow
  const body = outlet === undefined ? null : await bodyFrom(outlet)
  // `duplex` is what the platform asks for where a body is a stream.
  const init = { method, headers, body, signal, ...(body !== null && { duplex: "half" }) } as RequestInit
  const response = await env.peers.fetch(name, new Request(new URL(target, `http://${name}/`), init))
  flow.inlet = new Inlet(response.body)
  return latin1Encode(`${response.status}${linesOf(response.headers)}`)
}

export async function putBlob(env: TabEnv, outlet: Outlet, type: Uint8Array): Promise<Uint8Array> {
  return factsToBytes(await env.blobs.put(outlet.stream, { type: utf8Decode(type) }))
}

export async function getBlob(env: TabEnv, flow: OwnFlow, payload: Uint8Array): Promise<Uint8Array | undefined> {
  const [id = "", from, to] = utf8Decode(payload).split("\n")
  const range = { ...(from && { from: Number(from) }), ...(to && { to: Number(to) }) }
  const stream = await env.blobs.get(id, range)
  if (stream === undefined) return undefined
  flow.inlet = new Inlet(stream)
  return yes
}

export async function statBlob(env: TabEnv, payload: Uint8Array): Promise<Uint8Array | undefined> {
  const facts = await env.blobs.stat(utf8Decode(payload))
  return facts && factsToBytes(facts)
}

export async function deleteBlob(env: TabEnv, payload: Uint8Array): Promise<Uint8Array | undefined> {
  return (await env.blobs.delete(utf8Decode(payload))) ? yes : undefined
}

export function identityToBytes({ identity: { key, name = "", url = "" } }: TabEnv): Uint8Array {
  return utf8Encode(`${key}\n${name}\n${url}`)
}

export async function verify(env: TabEnv, payload: Uint8Array): Promise<Uint8Array | undefined> {
  const key = utf8Decode(payload, 0, 43)
  const [signature, bytes] = [payload.slice(43, 107), payload.slice(107)]
  return (await env.identity.verify(key, bytes, signature)) ? yes : undefined
}

export function writeLog(log: AppLog, level: number, payload: Uint8Array): undefined {
  const [text = "", ...words] = utf8Decode(payload).split("\0")
  const fields: { [name: string]: string } = {}
  for (let at = 0; at + 1 < words.length; at += 2) fields[words[at] as string] = words[at + 1] as string
  log[levels[level] ?? "info"](text, fields)
}

function factsToBytes({ id, bytes, type }: BlobFacts): Uint8Array {
  return utf8Encode(`${id}\n${bytes}\n${type}`)
}

/** Firefox makes a string of a stream: there the body is read first. */
async function bodyFrom({
  stream,
}: Outlet): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer>> {
  if (takesStreams()) return stream
  const parts: Uint8Array[] = []
  let bytes = 0
  for (const reader = stream.getReader(); ;) {
    const { done, value } = await reader.read()
    if (done) return new Uint8Array(concat(parts, bytes))
    parts.push(value)
    bytes += value.length
    if (bytes <= mostReadBytes) continue
    await reader.cancel()
    throw new RdvError("too_large", `This browser sends bodies of up to ${mostReadBytes / 1024 / 1024} MiB to peers`)
  }
}

function takesStreams(): boolean {
  const init = { method: "POST", body: new ReadableStream(), duplex: "half" } as RequestInit
  return !new Request("http://localhost", init).headers.has("content-type")
}

const yes: Uint8Array = new Uint8Array([1])
const levels: readonly (keyof AppLog)[] = ["debug", "info", "warn", "error"]
const mostReadBytes = 64 * 1024 * 1024
