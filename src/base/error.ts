/**
 * The one error class. A code says what happened, an origin says who caused it, `retry` says whether the same call may
 * work later. Callers switch on `code`; nobody needs `instanceof` of anything else. The numbers travel in RESET frames
 * and refusals, so they never change their meaning. `docs/reference/errors.md` has a heading per code.
 */

interface CodeFacts {
  /** The number in RESET frames and refusals. */
  readonly number: number
  /** The same call may succeed later without a change by the user. */
  readonly retry: boolean
  /** Default text, used where no better one is at hand. */
  readonly text: string
}

export const errorCodes = {
  cancelled: { number: 1, retry: false, text: "The other side no longer wants this stream" },
  no_service: { number: 2, retry: false, text: "No such service is offered" },
  internal: { number: 3, retry: false, text: "An unexpected failure; please report it" },
  timeout: { number: 4, retry: true, text: "It took too long" },
  limit: { number: 5, retry: true, text: "A limit is reached" },
  protocol: { number: 6, retry: false, text: "The other side broke the protocol" },
  unauthorized: { number: 7, retry: false, text: "The token is missing, unknown, expired or revoked" },
  forbidden: { number: 8, retry: false, text: "The token does not allow this" },
  unknown_session: { number: 9, retry: false, text: "The session is not known here any more" },
  expired: { number: 10, retry: true, text: "The link stayed away longer than the grace time" },
  replaced: { number: 11, retry: false, text: "A newer session of the same owner took over" },
  draining: { number: 12, retry: true, text: "It is shutting down and takes nothing new" },
  unreachable: { number: 13, retry: true, text: "The target cannot be reached" },
  connection_reset: { number: 14, retry: true, text: "The connection behind the stream was reset" },
  version: { number: 15, retry: false, text: "The two sides share no protocol version" },
  corrupt: { number: 16, retry: true, text: "A checksum did not match: bytes changed on the way" },
  closed: { number: 17, retry: false, text: "It is closed" },
  claimed: { number: 18, retry: false, text: "The name or port belongs to somebody else" },
  no_route: { number: 19, retry: true, text: "No agent serves this name" },
  link_lost: { number: 20, retry: true, text: "The link broke" },
  bad_response: { number: 21, retry: false, text: "The target gave an answer that cannot be passed on" },
  usage: { number: 22, retry: false, text: "The command or the configuration is wrong" },
  in_use: { number: 23, retry: false, text: "The address is in use" },
  rate_limited: { number: 24, retry: true, text: "Too many attempts; wait" },
  not_found: { number: 25, retry: false, text: "There is nothing of this name" },
  exists: { number: 26, retry: false, text: "The name is taken" },
  removed: { number: 27, retry: false, text: "It was removed meanwhile" },
  would_block: { number: 28, retry: true, text: "It cannot be done without waiting" },
  too_large: { number: 29, retry: false, text: "It is larger than what is allowed" },
} as const

export type ErrorCode = keyof typeof errorCodes

const facts: Record<ErrorCode, CodeFacts> = errorCodes

export interface RdvErrorOptions {
  /** Who caused it: this process, or the peer that reported it. Default `local`. */
  readonly origin?: "local" | "remote"
  readonly cause?: unknown
  /** What the user can do about it, one clause. Shown behind the message on terminals. */
  readonly mend?: string
}

export class RdvError extends Error {
  readonly code: ErrorCode
  readonly origin: "local" | "remote"
  readonly retry: boolean
  readonly mend: string | undefined

  constructor(code: ErrorCode, message?: string, options: RdvErrorOptions = {}) {
    super(message ?? facts[code].text, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = "RdvError"
    this.code = code
    this.origin = options.origin ?? "local"
    this.retry = facts[code].retry
    this.mend = options.mend
  }
}

/** The number that stands for a code on the wire. */
export function codeNumber(code: ErrorCode): number {
  return facts[code].number
}

const codeByNumber = new Map<number, ErrorCode>(
  Object.entries(facts).map(([code, { number }]) => [number, code as ErrorCode]),
)

/** The code that a number on the wire stands for; a number from a newer peer reads as `internal`. */
export function codeFromNumber(number: number): ErrorCode {
  return codeByNumber.get(number) ?? "internal"
}

/** Wraps whatever was thrown; an `RdvError` passes through unchanged. */
export function asRdvError(thrown: unknown, code: ErrorCode = "internal"): RdvError {
  if (thrown instanceof RdvError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new RdvError(code, message, { cause: thrown })
}
