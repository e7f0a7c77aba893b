/**
 * The words of the native protocol (docs/protocol.md, section 9.5): the kinds of its frames, and the headers that open its
 * streams. A frame is `length u32 | kind u8 | body`, big-endian, and `length` counts kind and body.
 *
 *     send      ─ message, timed, withdraw ─▶      ◀─ confirmed, settled ─
 *     receive   ─ next, answer, recall ─▶          ◀─ delivery, recalled ─
 *     select    ─ case, go, cancel, answer ─▶      ◀─ chosen, none ─
 */

import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"

export const channelService = "channel"

export const frameKind = {
  /** The message. Its number is the count of messages before it on this stream. */
  message: 0x01,
  /** Milliseconds u32, message: withdrawn when no receiver was found by then; 0: at once. */
  timed: 0x02,
  /** Number u64: the sender does not want it to be taken any more. */
  withdraw: 0x03,
  /** Number u64: every message with a lower number that was not settled by itself has arrived. */
  confirmed: 0x04,
  /** Number u64, code u16, reason: one message by itself. Code 0: it has arrived. */
  settled: 0x05,
  /** More u32, number u64: may send so many more; every delivery with a lower number is taken. */
  next: 0x10,
  /** Id u64, attempt u16, message. Its number is the count of deliveries before it on this stream. */
  delivery: 0x11,
  /** Number u64, code u16, reason: one delivery by itself. Code 0: it is taken; else it goes back. */
  answer: 0x12,
  /** May send nothing more that it has not sent. */
  recall: 0x13,
  /** The answer to it, behind everything that was sent before. */
  recalled: 0x14,
  /** Way u8 (0 receive, 1 send), path length u16, path, message. */
  case: 0x20,
  /** Milliseconds u32; 0: only what can happen at once; all ones: for ever. */
  go: 0x21,
  /** Case u16, way u8; of a receive also id u64, attempt u16, message. */
  chosen: 0x22,
  /** Case u16 (all ones: none of them), code u16, reason. */
  none: 0x23,
  cancel: 0x24,
} as const

/** In front of every body. */
export const frameHeaderBytes = 5
/** Of a body, beside the message in it, at most: a path and its numbers. */
export const frameExtraBytes = 4200
/** Milliseconds that stand for no deadline. */
export const forever = 0xffff_ffff
/** Stands for no case. */
export const noCase = 0xffff
/** Cases of one select. */
export const maxCases = 256
/** Deliveries that a receiver may have asked for or not answered. */
export const maxOpenDeliveries = 65_536

/** What a stream is for. */
export type StreamHeader =
  | { readonly do: "send" | "receive"; readonly path: string; readonly create: JsonObject | undefined }
  | { readonly do: "peek"; readonly path: string }
  | { readonly do: "select" | "control" }

/** Reads the header of OPEN. Throws `protocol`. */
export function readStreamHeader(json: JsonObject): StreamHeader {
  const verb = json["do"]
  switch (verb) {
    case "select":
    case "control":
      return { do: verb }
    case "peek":
      return { do: verb, path: readPath(json["path"]) }
    case "send":
    case "receive": {
      const { create } = json
      if (create !== undefined && (typeof create !== "object" || create === null || Array.isArray(create))) {
        throw new RdvError("protocol", '"create" of a channel stream is no object')
      }
      return { do: verb, path: readPath(json["path"]), create: create as JsonObject | undefined }
    }
    default:
      throw new RdvError("protocol", '"do" of a channel stream is missing or unknown')
  }
}

export function readPath(value: unknown): string {
  if (typeof value === "string" && value.startsWith("/") && value.length <= 4096) return value
  if (typeof value !== "string") throw new RdvError("protocol", '"path" is missing')
  const shown = JSON.stringify(value.slice(0, 64))
  throw new RdvError("protocol", `${shown} is no path: it begins with / and has at most 4096 characters`)
}

/** The first thing on a stream that sends or receives: META `{"ready":…}`. */
export interface Ready {
  /** The channel's path. */
  readonly path: string
  /** Messages that may be unsettled at once, and their bytes; one message may always be. */
  readonly messages: number
  readonly bytes: number
  /** Bytes of one message. */
  readonly maxMessage: number
}

/** Reads what a server says first. Throws `protocol`. */
export function readReady(block: JsonObject): Ready {
  const ready = block["ready"] as JsonObject | undefined
  if (typeof ready !== "object" || ready === null)
    throw new RdvError("protocol", "The server does not say that it is ready")
  const { path, messages, bytes, maxMessage } = ready
  if (typeof path !== "string" || !isCount(messages) || !isCount(bytes) || !isCount(maxMessage)) {
    throw new RdvError("protocol", "What the server says of a channel is incomplete")
  }
  return { path, messages, bytes, maxMessage }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
}
