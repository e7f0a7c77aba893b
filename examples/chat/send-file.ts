/** A file as an answer, as a stream; with `Range`, so that films can be wound. */

import type { Blobs } from "../../src/tab.ts"
import type { ChatFile } from "./message.ts"
import { Refusal } from "./refusal.ts"

export async function sendFile(blobs: Blobs, file: ChatFile, request: Request): Promise<Response> {
  const facts = await blobs.stat(file.id)
  if (facts === undefined) throw new Refusal(503, "The file is not here yet: its server is away")
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? []
  const first = from === "" ? 0 : Number(from)
  const last = to === "" || from === "" ? facts.bytes - 1 : Math.min(Number(to), facts.bytes - 1)
  const isPart = from !== "" && first <= last
  const body = await blobs.get(file.id, isPart ? { from: first, to: last + 1 } : {})
  if (body === undefined) throw new Refusal(404, "The file is gone")
  // Whatever somebody sent: nothing of it runs here.
  const isShown = shown.has(file.type)
  const headers = new Headers({
    "content-type": isShown ? file.type : "application/octet-stream",
    "content-length": String(isPart ? last - first + 1 : facts.bytes),
    "content-disposition": `${isShown ? "inline" : "attachment"}; filename*=UTF-8''${encodeURIComponent(file.name).replaceAll("'", "%27")}`,
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=31536000, immutable",
  })
  if (isPart) headers.set("content-range", `bytes ${first}-${last}/${facts.bytes}`)
  return new Response(body, { status: isPart ? 206 : 200, headers })
}

export function isPicture(file: ChatFile): boolean {
  return file.type.startsWith("image/") && shown.has(file.type)
}

const shown: ReadonlySet<string> = new Set([
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "image/avif",
  "audio/mpeg",
  "audio/ogg",
  "video/mp4",
  "video/webm",
])
