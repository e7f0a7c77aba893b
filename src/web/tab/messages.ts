/**
 * Everything that the four parties of a browser say to each other: pages, the service worker, candidates and the one
 * server worker. Nothing else crosses between them, so this file is the protocol.
 *
 * ```
 *   page ──ToWorker──▶ its worker           page ──ToServiceWorker──▶ service worker
 *   page ◀─FromWorker─ its worker           page ◀─FromServiceWorker─ service worker
 *   page ◀──Announcement──▶ all pages       (BroadcastChannel)
 *   page or service worker ◀──ToClient── port ──ToServer──▶ server worker
 * ```
 *
 * All of them are of one origin: who gets a message looks at where it is from. A port tells nobody that its other side is
 * gone, so whoever becomes the server is announced, and what waits at an older one is moved or given up.
 */

import type { ErrorCode } from "../../base/error.ts"
import type { Json, JsonObject } from "../../base/json.ts"

/** Raised when old and new parts no longer understand each other. Another one's port is refused with `version`. */
export const protocolVersion = 1

/** The Web Lock that the server worker holds for as long as it lives. */
export const lockName = "rdv tab"

/** The BroadcastChannel of announcements. */
export const channelName = "rdv tab"

// ---- A page and the worker that it has started ------------------------------------------------------------------------

export type ToWorker =
  /** With the port to serve. Only to a worker that leads; others drop it. */
  | { readonly kind: "connect"; readonly from: PortUser }
  /** A candidate answers too: whoever does not is hung. */
  | { readonly kind: "ping"; readonly n: number }
  /** Ends what may last for ever at the service worker's port, so that a new one can take over. */
  | { readonly kind: "end-streams" }
  /** Takes nothing new, finishes what runs, closes the database, frees the lock, says `stopped` and ends itself. */
  | { readonly kind: "stop"; readonly graceMs: number }
  /** For connections to peers, see rtc-page.ts; data channels are transferred beside it. */
  | { readonly kind: "rtc"; readonly value: unknown }

export type FromWorker =
  /** Loaded; it waits for the lock, or for handles that another one still has. */
  | { readonly kind: "waiting" }
  /** It has the lock, and loads the application. */
  | { readonly kind: "starting" }
  /** It serves. `epoch` is above every earlier one of this origin (after an import of an old database too). */
  | { readonly kind: "leading"; readonly epoch: number; readonly isDurable: boolean }
  /** It could not start. It says so once for each cause, and goes on trying if `isFinal` is false. */
  | { readonly kind: "failed"; readonly trouble: Trouble; readonly isFinal: boolean }
  | { readonly kind: "pong"; readonly n: number }
  | { readonly kind: "streams-ended" }
  | { readonly kind: "stopped" }
  | { readonly kind: "rtc"; readonly value: unknown }

/** An error on its way. */
export interface Trouble {
  readonly code: ErrorCode
  /** One line: what is wrong. */
  readonly text: string
  /** What to do about it. */
  readonly mend?: string
}

/** Who is at the other side of a port: only pages call the control. */
export type PortUser = "page" | "service-worker"

// ---- A page and the service worker ------------------------------------------------------------------------------------

export type ToServiceWorker =
  /** With the port of a server worker: its requests go there from now on, unless it has one of a higher epoch. */
  | { readonly kind: "leading"; readonly epoch: number; readonly protocol: number }
  /** The page's worker ends, or has ended: what it has not answered goes to the next one. */
  | { readonly kind: "gone"; readonly epoch: number }
  /** With a port that the server worker shall serve: the page's direct way, around the service worker. */
  | { readonly kind: "connect"; readonly protocol: number }
  /** A new version of the runtime or the application was seen: put its files into the cache, then answer at the port beside it (`Filled`). */
  | { readonly kind: "fill" }
  /** Take over from the older service worker. */
  | { readonly kind: "skip-waiting" }

export type Filled = { readonly ok: true; readonly version: string } | { readonly ok: false; readonly text: string }

export type FromServiceWorker =
  /** Who has the server worker introduces it again (`leading`); nobody else answers. */
  { readonly kind: "who-leads" }

// ---- All pages --------------------------------------------------------------------------------------------------------

export type Announcement =
  /** The sender's worker serves. Direct ports to lower epochs are dead. */
  | { readonly kind: "leading"; readonly epoch: number; readonly isDurable: boolean }
  | { readonly kind: "gone"; readonly epoch: number }
  /** Whose worker leads lets it end its streams, then lets the waiting service worker take over. */
  | { readonly kind: "new-service-worker" }
  /** Whose worker leads stops it: the next one loads the new application, which is in the cache. */
  | { readonly kind: "new-version"; readonly version: string }

// ---- Ports of the server worker ---------------------------------------------------------------------------------------

/**
 * A message at a port is an array of these, in order; buffers in them are transferred. `id` counts up from 1 at the client
 * and is used once per port. Bytes flow against credit: a request's body has `windowBytes` from `accepted` on, a response's
 * and each direction of a socket from the start; they get back what the reader has taken.
 */
export type ToServer =
  | {
      readonly kind: "request"
      readonly id: number
      readonly head: RequestHead
      /** No body: undefined. One that is here as a whole: its bytes. `true`: it follows, as chunks and an end. */
      readonly body: Uint8Array | true | undefined
    }
  | {
      readonly kind: "socket"
      readonly id: number
      readonly head: RequestHead
      /** What the page offers, RFC 6455 section 1.9. */
      readonly protocols: readonly string[]
    }
  | Chunk
  | End
  | Credit
  /** Nobody waits for it any more. The handler's signal is aborted. */
  | { readonly kind: "cancel"; readonly id: number }
  | SocketMessage
  | SocketClose
  /** Only at a page's port. Answered by `answer` or `failed`. */
  | { readonly kind: "call"; readonly id: number; readonly name: ControlName; readonly value: ControlValue }
  /** Only at the service worker's port: a page's direct port is beside the message, one for each of these, in order. */
  | { readonly kind: "connect" }

export type ToClient =
  /** The first message of every port. */
  | { readonly kind: "hello"; readonly protocol: number; readonly epoch: number }
  /** The handler starts now. Before this nothing has happened: the request may be sent to another server worker. */
  | { readonly kind: "accepted"; readonly id: number }
  /** It was not and will not be started here. */
  | { readonly kind: "refused"; readonly id: number; readonly trouble: Trouble }
  | {
      readonly kind: "response"
      readonly id: number
      readonly head: ResponseHead
      /** As in a request. */
      readonly body: Uint8Array | true | undefined
    }
  | Chunk
  | End
  | Credit
  /** The rest of the request's body is of no use: none of it is waited for. */
  | { readonly kind: "enough"; readonly id: number }
  /** The response broke off, or a call went wrong. */
  | { readonly kind: "failed"; readonly id: number; readonly trouble: Trouble }
  /** The socket is open. */
  | { readonly kind: "opened"; readonly id: number; readonly protocol: string }
  | SocketMessage
  | SocketClose
  | { readonly kind: "answer"; readonly id: number; readonly value: ControlValue }
  /** It ends in good order: what is not accepted yet belongs to the next one. */
  | { readonly kind: "draining" }

export interface RequestHead {
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The answer becomes a page of its own: it gets the page agent. */
  readonly isNavigation: boolean
  /** The page that it comes from, or "". */
  readonly referrer: string
}

export interface ResponseHead {
  readonly status: number
  readonly statusText: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** At most `chunkBytes`. */
export interface Chunk {
  readonly kind: "chunk"
  readonly id: number
  readonly bytes: Uint8Array
}

/** A body is whole only with this, and only if as many bytes came: a cut must not look like an end. */
export interface End {
  readonly kind: "end"
  readonly id: number
  readonly totalBytes: number
}

/** So many bytes more may be under way. Messages of sockets count as their length (bytes, UTF-16 units) and `messageCost`. */
export interface Credit {
  readonly kind: "credit"
  readonly id: number
  readonly bytes: number
}

/** Up to `messageBytes`: it is sent when any credit is left, which then is negative. */
export interface SocketMessage {
  readonly kind: "message"
  readonly id: number
  readonly data: string | Uint8Array
}

/** The last one of a socket in this direction. */
export interface SocketClose {
  readonly kind: "close"
  readonly id: number
  readonly code: number
  readonly reason: string
}

export const chunkBytes = 262_144
/** A body up to this size that is at hand goes with its head. */
export const inlineBytes = 65_536
export const windowBytes = 1_048_576
export const messageBytes = 16_777_216
/** An empty message takes memory too. */
export const messageCost = 64

// ---- Control ----------------------------------------------------------------------------------------------------------

/**
 * What a page asks of the server worker beside requests: name → what is given and what comes back. `go-public` and
 * `import-database` are asked for only in answer to a user's act, which the page sees to.
 */
export interface ControlCalls {
  readonly status: { readonly given: null; readonly answer: TabStatus }
  readonly "go-public": { readonly given: { readonly name: string }; readonly answer: { readonly url: string } }
  readonly "go-private": { readonly given: null; readonly answer: null }
  readonly "export-database": { readonly given: null; readonly answer: Blob }
  readonly "import-database": { readonly given: Blob; readonly answer: null }
}

export type ControlName = keyof ControlCalls

/** As it travels: JSON, or a file. */
export type ControlValue = Json | Blob

/** Serves the control's calls. What it throws becomes `failed`. */
export type Control = {
  readonly [Name in ControlName]: (given: ControlCalls[Name]["given"]) => Promise<ControlCalls[Name]["answer"]>
}

export interface TabStatus extends JsonObject {
  readonly epoch: number
  /** False: everything is gone with the last tab. */
  readonly isDurable: boolean
  /** Where everybody reaches it; null while it is not public. */
  readonly url: string | null
  readonly name: string | null
  readonly key: string | null
  /** The session to the relay, and what is wrong with it; null while it is not wanted. */
  readonly relay: (JsonObject & { readonly trouble?: string | null }) | null
}
