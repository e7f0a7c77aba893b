/** Every number of the relay with its reason. */

export interface RelayLimits {
  /** Sessions of all owners; each idle one costs about 60 KiB. */
  readonly sessions: number
  /** Sessions of one token: a fleet shares tokens, a thief should not fill the relay. */
  readonly sessionsPerOwner: number
  /** Requests under way and TCP connections of one token: half of what may come leaves room for others. */
  readonly visitorsPerOwner: number
  /** Connections of visitors at once, all addresses. */
  readonly visitors: number
  /** Connections of one address; of who comes through a trusted proxy, requests under way. */
  readonly visitorsPerAddress: number
  /** Connections at one address that have not sent a byte: as many visitors as may come may all be about to speak. */
  readonly silent: number
  /** TLS handshakes under way at one address: each costs about 40 KiB and a signature. */
  readonly tlsHandshakes: number
  /** From the accept to the end of the TLS handshake, ms. */
  readonly tlsHandshakeMs: number
  /** Links in the handshake at once: a stranger costs a socket and 8 KiB for up to 10 s. */
  readonly handshakes: number
  /** Failed tokens of one address at once, and how long one failure counts, ms. */
  readonly authBurst: number
  readonly authForgiveMs: number
  /** From the first byte of a connection or of the next request to the end of its head, ms (slow loris). */
  readonly headMs: number
  /** A keep-alive connection may be idle so long, ms. */
  readonly idleMs: number
  /** A request's body may stand still so long while we are ready to read it, ms. */
  readonly bodyMs: number
  /** A visitor that takes nothing of what waits for it is cut after this, ms; the reason stands in `stall-watch.ts`. */
  readonly stalledMs: number
  /** A request waits so long for the return of a session that has lost its link, ms; then 503. */
  readonly waitMs: number
  /**
   * A request for a name with an epoch waits so long for the next server, ms: a tab that is reloaded takes 300. Then 503.
   */
  readonly asleepMs: number
  /** Routes of one session. */
  readonly routesPerSession: number
}

export const defaultRelayLimits: RelayLimits = {
  sessions: 10_000,
  sessionsPerOwner: 1_000,
  visitorsPerOwner: 10_000,
  visitors: 20_000,
  visitorsPerAddress: 10_000,
  silent: 20_000,
  tlsHandshakes: 1_024,
  tlsHandshakeMs: 10_000,
  handshakes: 256,
  authBurst: 10,
  authForgiveMs: 6_000,
  headMs: 10_000,
  idleMs: 75_000,
  bodyMs: 60_000,
  stalledMs: 1_800_000,
  waitMs: 30_000,
  asleepMs: 5_000,
  routesPerSession: 100,
}
