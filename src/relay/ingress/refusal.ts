/** An answer in the service's place: which reason fits what went wrong, and its bytes. */

import type { ErrorCode, RdvError } from "../../base/error.ts"
import { headerValue, headerValues } from "../../base/header-fields.ts"
import type { RequestHead } from "../../http1/head.ts"
import type { HttpError } from "../../http1/http-error.ts"
import { responseHeadBytes } from "../../http1/write-head.ts"
import { errorAnswer } from "./pages.ts"
import type { ErrorReason } from "./pages.ts"

export interface Refusal {
  readonly reason: ErrorReason
  readonly detail?: string | undefined
  /** When it is worth to come back. */
  readonly retryAfterSeconds?: number | undefined
}

/** When a suspended session is worth another look, seconds. */
const suspendedRetrySeconds = 5

/** The session did not come back within the wait. */
export const suspended: Refusal = { reason: "suspended", retryAfterSeconds: suspendedRetrySeconds }

/** No server came within the wait: a tab that is closed, or a machine that sleeps. */
export const asleep: Refusal = { reason: "asleep", retryAfterSeconds: suspendedRetrySeconds }

/** Connections, or requests through trusted proxies. */
export const tooManyOfAddress: Refusal = {
  reason: "rate_limited",
  detail: "your address has as many connections open as it may",
  retryAfterSeconds: 5,
}

/** The relay shuts down. */
export const draining: Refusal = { reason: "draining", retryAfterSeconds: suspendedRetrySeconds }

/** For a stream that ended without an answer. */
export function refusalOf(error: RdvError): Refusal {
  const [reason, retryAfterSeconds] = reasons[error.code] ?? ["internal", undefined]
  const detail = error.code === "expired" || error.message === "" ? undefined : error.message
  return { reason, detail, retryAfterSeconds }
}

/** For a request that cannot be read. */
export function refusalOfRequest(error: HttpError): Refusal {
  return { reason: requestReasons[error.status] ?? "bad_request", detail: error.detail }
}

/** The whole answer. `head` is the request's, as far as there is one; without `keep` it says that the connection ends. */
export function refusalBytes(refusal: Refusal, head: RequestHead | undefined, keep: boolean): Uint8Array {
  const answer = errorAnswer({
    ...refusal,
    host: head === undefined ? undefined : headerValue(head.headers, "host"),
    accept: head === undefined ? undefined : headerValues(head.headers, "accept").join(", ") || undefined,
    method: head?.method,
  })
  const headers = keep ? answer.headers : [...answer.headers, "Connection", "close"]
  const bytes = responseHeadBytes({ status: answer.status, reason: answer.reasonPhrase, minor: 1, headers })
  return head?.method === "HEAD" ? bytes : Buffer.concat([bytes, answer.body])
}

/** How the end of a stream without an answer is told to the visitor, and when to come back (seconds). */
const reasons: Partial<Record<ErrorCode, [ErrorReason, number | undefined]>> = {
  unreachable: ["unreachable", undefined],
  connection_reset: ["unreachable", undefined],
  bad_response: ["bad_response", undefined],
  protocol: ["bad_response", undefined],
  timeout: ["timeout", undefined],
  expired: ["suspended", suspendedRetrySeconds],
  closed: ["suspended", suspendedRetrySeconds],
  replaced: ["suspended", 1],
  draining: ["draining", suspendedRetrySeconds],
  limit: ["limit", 1],
  rate_limited: ["rate_limited", 1],
  no_service: ["no_route", undefined],
  no_route: ["no_route", undefined],
  unauthorized: ["no_route", undefined],
}

const requestReasons: Partial<Record<number, ErrorReason>> = {
  408: "request_timeout",
  413: "body_too_large",
  414: "uri_too_long",
  431: "header_too_large",
  501: "not_implemented",
  505: "version",
}
