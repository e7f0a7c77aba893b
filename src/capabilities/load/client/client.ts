/**
 * One connection of a protocol to the target, with at most one message under way: send, then exactly one of `answered`
 * and `closed`. A client allocates nothing for a message where the protocol permits it.
 */

import type { Message } from "../message/message.ts"

export interface ClientEvents {
  /** Ready to send. */
  opened(client: Client): void
  /** The answer is complete. `wrong` says why it is not what was expected. */
  answered(client: Client, bytes: number, wrong: LoadError | undefined): void
  /** Over, once: also after `close` and `cut`. `error` is undefined when nobody awaited anything and the end was in good order. */
  closed(client: Client, error: LoadError | undefined): void
}

export interface Client {
  /** The owner's: which connection this is. */
  slot: number
  /** Another message can be sent. False inside `answered` says that `closed` follows (`Connection: close`, for one). */
  readonly usable: boolean
  /** Once. */
  connect(): void
  /** Only after `opened`, while it is usable, and not while an answer is awaited; also from within `answered`. */
  send(message: Message): void
  /** In good order. */
  close(): void
  /** At once; an answer under way is given up. How long an answer may take is the owner's to say. */
  cut(): void
}

/** Same target, any number of clients. */
export interface ClientFactory {
  create(events: ClientEvents): Client
}

/** The kinds that reports count by. */
export const errorKinds = [
  "refused",
  "unreachable",
  "dns",
  "connect timeout",
  "tls",
  "too many open files",
  "reset",
  "closed early",
  "timeout",
  "wrong answer",
  "status",
  "protocol",
  "other",
] as const

export type ErrorKind = (typeof errorKinds)[number]

export interface LoadError {
  readonly kind: ErrorKind
  /** One line, as an example for the report. */
  readonly detail: string
}
