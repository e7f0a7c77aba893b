/** Reads the head of one HTTP/1.1 response off a socket, and leaves what follows it: the answer to CONNECT and Upgrade. */

import type { Socket } from "node:net"
import { RdvError } from "../base/error.ts"
import { latin1Decode } from "../base/text.ts"
import { untilEvent } from "./connect.ts"
import type { DialLimits } from "./transport.ts"

export interface ResponseHead {
  readonly status: number
  /** The status and its reason as they came: `403 Forbidden`. */
  readonly statusText: string
  /** Lower-cased names; of repeated fields the last. */
  readonly fields: ReadonlyMap<string, string>
  /** What arrived behind the head. */
  readonly rest: Uint8Array
}

/** An answer that is longer comes from nobody we want to talk to. */
const maxHeadBytes = 16_384

/** Leaves the socket paused. Rejects with `timeout`, `unreachable`, or `protocol` when it is not HTTP. */
export async function readResponseHead(socket: Socket, place: string, limits: DialLimits): Promise<ResponseHead> {
  let held: Buffer = Buffer.alloc(0)
  let head: ResponseHead | undefined
  const onData = (bytes: Buffer) => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes])
    const end = held.indexOf("\r\n\r\n")
    if (end < 0 && held.length <= maxHeadBytes) return
    socket.pause()
    socket.off("data", onData)
    head = end < 0 ? undefined : parseHead(held, end)
    if (head === undefined) socket.emit("error", new RdvError("protocol", `${place} did not answer in HTTP`))
    else socket.emit("responseHead")
  }
  const onEnd = () => socket.emit("error", new RdvError("unreachable", `${place} closed the connection unasked`))
  socket.on("data", onData)
  socket.on("end", onEnd)
  socket.resume()
  try {
    await untilEvent(socket, "responseHead", place, limits)
  } finally {
    socket.off("data", onData)
    socket.off("end", onEnd)
  }
  return head as unknown as ResponseHead
}

function parseHead(bytes: Buffer, end: number): ResponseHead | undefined {
  const [statusLine = "", ...lines] = latin1Decode(bytes, 0, end).split("\r\n")
  const match = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(statusLine)
  if (match === null) return undefined
  const fields = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(":")
    if (colon <= 0) return undefined
    fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  const reason = (match[2] ?? "").replace(/[^ -~]/g, "?").slice(0, 80)
  return {
    status: Number(match[1]),
    statusText: `${match[1]} ${reason}`.trim(),
    fields,
    rest: bytes.subarray(end + 4),
  }
}
