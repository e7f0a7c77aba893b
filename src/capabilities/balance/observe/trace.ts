/** A connection as spans of OTLP's JSON form (ids in hex, times as text in ns, numbers of enumerations). */

import { blameOf, isFailure } from "../connection/blame.ts"
import { endings } from "../connection/ending.ts"
import type { ConnectionRecord } from "../connection/record.ts"

export interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly OtlpAttribute[]
  readonly status: { readonly code?: number; readonly message?: string }
}

interface OtlpAttribute {
  readonly key: string
  readonly value: { readonly stringValue: string } | { readonly intValue: string }
}

const kinds = { internal: 1, server: 2, client: 3 } as const
const failedStatus = 2

/** The connection's span first, then its children in order of time: preface, queue, each dial, relaying. */
export function traceOf(record: ConnectionRecord, random: () => number): OtlpSpan[] {
  const traceId = hex(4, random)
  const rootId = hex(2, random)
  const { startedAt, durationMs } = record
  const span = (
    name: string,
    kind: keyof typeof kinds,
    fromMs: number,
    toMs: number,
    attributes: Attributes,
    error?: string,
  ): OtlpSpan => ({
    traceId,
    spanId: hex(2, random),
    parentSpanId: rootId,
    name,
    kind: kinds[kind],
    startTimeUnixNano: nanoseconds(startedAt, Math.min(fromMs, durationMs)),
    endTimeUnixNano: nanoseconds(startedAt, Math.min(toMs, durationMs)),
    attributes: attributesOf(attributes),
    status: error === undefined ? {} : { code: failedStatus, message: error },
  })
  const children: OtlpSpan[] = []
  const { prefaceMs = 0, queuedMs, joinedMs } = record
  if (record.prefaceMs !== undefined) children.push(span("preface", "internal", 0, prefaceMs, {}))
  if (queuedMs !== undefined) children.push(span("queue", "internal", prefaceMs, prefaceMs + queuedMs, {}))
  for (const { target, atMs, ms, error } of record.dials) {
    children.push(span("dial", "client", atMs, atMs + ms, { ...peer("server", target), "rdv.target": target }, error))
  }
  if (joinedMs !== undefined) {
    const firstByte = record.firstByteMs === undefined ? undefined : Math.round(record.firstByteMs * 1_000)
    children.push(span("relay", "internal", joinedMs, durationMs, { "rdv.first_byte_us": firstByte }))
  }
  const { parentSpanId: _, ...root } = span(
    "connection",
    "server",
    0,
    durationMs,
    rootAttributes(record),
    failure(record),
  )
  return [{ ...root, spanId: rootId, name: `connection ${record.app}` }, ...children]
}

function rootAttributes(record: ConnectionRecord): Attributes {
  const { ending } = record
  return {
    "network.transport": "tcp",
    ...peer("client", record.client),
    "rdv.connection": record.id,
    "rdv.app": record.app,
    "rdv.listener": record.listener,
    "rdv.target": record.target,
    "rdv.why": record.why,
    "rdv.tier": record.tier,
    "rdv.attempts": record.attempts,
    "rdv.ending": ending,
    "rdv.ended_by": blameOf(ending),
    "rdv.detail": record.detail,
    "rdv.bytes_up": record.bytesUp,
    "rdv.bytes_down": record.bytesDown,
    "tls.client.server_name": record.serverName,
    "error.type": failure(record) === undefined ? undefined : ending,
  }
}

function failure({ ending, detail }: ConnectionRecord): string | undefined {
  if (!isFailure(ending)) return undefined
  return detail === "" ? endings[ending] : `${endings[ending]}: ${detail}`
}

type Attributes = Readonly<Record<string, string | number | undefined>>

function attributesOf(attributes: Attributes): OtlpAttribute[] {
  const kept: OtlpAttribute[] = []
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === "") continue
    // 64-bit numbers are text in this form.
    kept.push({ key, value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value } })
  }
  return kept
}

/** `server.address` and `server.port`, as far as the text has them. */
function peer(role: "client" | "server", text: string): Attributes {
  const match = /^\[?([^\]]*?)\]?:(\d{1,5})$/.exec(text)
  if (match === null) return { [`${role}.address`]: text }
  return { [`${role}.address`]: match[1], [`${role}.port`]: Number(match[2]) }
}

/** In µs, which a double holds exactly until the year 2255. */
function nanoseconds(startedAt: number, afterMs: number): string {
  return `${Math.round((startedAt + afterMs) * 1_000)}000`
}

/** Never all zero, which would mean "none". */
function hex(words: number, random: () => number): string {
  let text = ""
  for (let word = 0; word < words; word++) {
    text += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0")
  }
  return /[^0]/.test(text) ? text : `${text.slice(0, -1)}1`
}
