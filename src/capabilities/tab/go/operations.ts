/**
 * What a Go program asks its host for: the numbers that both sides know (`interop/go-tab/bridge.go`), and how a call
 * ends. One JavaScript value that Go has held stays alive until Go's own collector runs, which knows nothing of how large
 * it is: so nothing but numbers crosses, and bytes go through one window of memory that both sides copy from and to.
 *
 *     call(operation, id, token, length, extra) → length of the answer in the window
 *                                               | −1: `settle(token, hasAnswer)` will tell
 *                                               | −2 − length of "code\0message": it failed
 */

export const operation = {
  /** A piece of a payload that is longer than the window. */
  more: 0,
  /** The next piece of an answer that is longer than the window. */
  rest: 1,
  /** The answer that was settled for `token`. */
  result: 2,
  /** The program serves requests from here on. */
  ready: 3,
  /** `id`, `extra`: level; payload: text, then names and values, NUL between. */
  log: 4,

  /** Of request `id`: "method\ntarget\nhost\nvisitor\naddress\nkey\nbody\nname\nvalue…", a byte per character. */
  head: 10,
  /** Up to `extra` bytes of flow `id`; none: its end. */
  read: 11,
  /** Payload: length of the head (4 bytes), head "status\nname\nvalue…", bytes. `extra` 1: that is all of it. */
  respond: 12,
  write: 13,
  /** No more is written. */
  finish: 14,
  /** It came to nothing; payload: why, and behind a NUL the place in the program. `extra` 1: on purpose. */
  fail: 15,
  /** Nobody has to do with flow `id` any more. */
  close: 16,

  /** Within request `id`, or 0. Answers the number of the lease. */
  lease: 20,
  /** On lease `id`, or 0 and then within request `extra`. Payload: see `statement-wire.ts`. */
  statement: 21,
  commit: 22,
  rollback: 23,

  /** Flow `id` begins; payload: "name\nmethod\ntarget\nbody\nname\nvalue…". Answers "status\nname\nvalue…". */
  peer: 30,
  /** Flow `id` is its content, within request `extra`; payload: its type. Answers "id\nbytes\ntype". */
  blobPut: 31,
  /** Flow `id` will be its content, within request `extra`; payload: "id\nfrom\nto". Answers "1", or nothing. */
  blobGet: 32,
  /** Within request `extra`. Answers "id\nbytes\ntype", or nothing. */
  blobStat: 33,
  /** Answers "1", or nothing. */
  blobDelete: 34,
  /** Answers "key\nname\nurl". */
  identity: 35,
  sign: 36,
  /** Payload: key (43), signature (64), bytes. Answers "1", or nothing. */
  verify: 37,
} as const

export interface Call {
  readonly id: number
  readonly extra: number
  /** Good until the operation returns; what is kept is copied. */
  readonly payload: Uint8Array
}

export type Answer = Uint8Array | undefined

/** Answers, throws, or answers later. */
export type Operation = (call: Call) => Answer | Promise<Answer>
