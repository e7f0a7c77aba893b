/**
 * Other servers, by name. Requests go through the relay at once, and directly (WebRTC) as soon as that works; which it was
 * makes no difference but speed.
 */

export interface PeerFacts {
  readonly name: string
  /** What carries new requests. */
  readonly path: "relay" | "direct"
  /** Of the direct way, ms; undefined: not measured. */
  readonly rttMs: number | undefined
  /** Why the last attempt at a direct way failed, for people. */
  readonly trouble?: string | undefined
  /** As `Identity.key`; undefined: not heard of yet. */
  readonly key?: string | undefined
  /** The key that this name had before, when it has changed: perhaps somebody else has it now. */
  readonly formerKey?: string | undefined
}

export interface Peers {
  /**
   * Sends a request to the server of that name; the URL's host means nothing. Rejects `unreachable` when it is not there,
   * `closed` while we are not public ourselves. `signal` ends it.
   */
  fetch(name: string, request: Request | string, init?: RequestInit): Promise<Response>
  /** With whom we have had to do, newest first. */
  list(): readonly PeerFacts[]
}

/**
 * Who sent a request that came from a peer, proven by its key at the relay: undefined for everybody else. Headers prove
 * nothing; this does.
 */
export interface PeerCaller {
  readonly name: string
  /** As `Identity.key`. */
  readonly key: string
}
