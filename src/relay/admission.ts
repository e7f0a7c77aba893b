/**
 * Who gets in: checks a stranger's HELLO against tokens and limits before anything is spent on it, and knows the secrets of
 * the sessions that live here.
 */

import { base64url, randomBytes } from "../base/bytes.ts"
import type { Clock } from "../base/clock.ts"
import { asRdvError, RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Announced, NewHello } from "../wire/hello.ts"
import type { Acceptor, Admission, ReadyLink, Resumed } from "../mux/handshake.ts"
import type { Link } from "../mux/link.ts"
import type { SessionLimits } from "../mux/limits.ts"
import type { Session } from "../mux/session.ts"
import type { Store, TokenRecord, TokenRefusal } from "../store/store.ts"
import type { TokenScopes } from "../store/token-scopes.ts"
import { isLocalLink } from "../transport/loopback.ts"
import { Attempts } from "./attempts.ts"
import type { RelayLimits } from "./limits.ts"
import { Quota } from "./quota.ts"

/** Who a session belongs to. */
export interface Owner {
  /** A token's id, or `anonymous/INSTANCE`. */
  readonly id: string
  /** The token's name; undefined for everybody else. */
  readonly name: string | undefined
  /** The names that it serves are its own, also while it is away. */
  readonly claims: boolean
  readonly scopes: TokenScopes
  /** The installation that it comes from, as it says itself. */
  readonly instance: string | undefined
  /** Let in by a capability's own proof, for this alone. */
  readonly guest?: string
  /** Throws when it may not claim this name, which nobody has. */
  readonly mayClaim?: (name: string) => void
}

/** What a guest may do beside reaching the services of its capability. */
export interface GuestGrant {
  /** Whom its names belong to: who proves the same the next time has them again. Has a colon, as no token's id has. */
  readonly ownerId: string
  readonly scopes: TokenScopes
  /** Throws when it may not claim this name, which nobody has. */
  readonly mayClaim: (name: string) => void
}

/**
 * Throws unless somebody at `address` who shows `proof` may come in as a guest for `what` (`share/482713`): `unauthorized`
 * counts as a failed token does. It compares in constant time. Without a grant the guest offers nothing.
 */
export type GuestCheck = (what: string, proof: string, address: string) => GuestGrant | undefined | void

/** Above this part of the relay's sessions guests are refused. */
const guestShare = 0.9

/** What a guest shows in place of a token: `guest:` with what it is a guest of and a proof behind it. */
const guestShape = /^guest:([a-z0-9-]+)(\/[a-z0-9-]+):([A-Za-z0-9_-]{1,192})$/

export interface AdmissionOptions {
  readonly clock: Clock
  readonly log: Log
  readonly store: Store
  /** Lets sessions in without a token: all, or those of this machine. */
  readonly open: boolean | "local"
  readonly limits: RelayLimits
  readonly sessionLimits: SessionLimits
  /** Makes the session of an admitted stranger and puts it on its link. */
  readonly start: (opening: Opening) => Session
}

/** A session that is let in. */
export interface Opening {
  readonly id: string
  readonly owner: Owner
  readonly quota: Quota
  readonly hello: NewHello
  readonly ready: ReadyLink
  readonly peer: Announced
  /** Where it comes from, for logs. */
  readonly from: string
}

interface Living {
  readonly session: Session
  readonly secret: Uint8Array
  readonly owner: Owner
  readonly quota: Quota
}

export class AdmissionDesk implements Acceptor {
  readonly #options: AdmissionOptions
  readonly #living: Map<string, Living> = new Map()
  /** By owner: of those who have sessions, and of tokens whose quota remembers what they used. */
  readonly #quotas: Map<string, Quota> = new Map()
  readonly #attempts: Attempts
  /** By the first word of what they are guests of. */
  readonly #guests: Map<string, GuestCheck> = new Map()
  #draining = false

  constructor(options: AdmissionOptions) {
    this.#options = options
    const { authBurst, authForgiveMs } = options.limits
    this.#attempts = new Attempts({
      clock: options.clock,
      burst: authBurst,
      forgiveMs: authForgiveMs,
      addresses: rememberedAddresses,
    })
  }

  /** Lets guests of a capability in: they reach the services of its name, and offer what they are granted. */
  letGuestsIn(capability: string, check: GuestCheck): void {
    this.#guests.set(capability, check)
  }

  get sessions(): Session[] {
    return [...this.#living.values()].map(({ session }) => session)
  }

  /** What `rdv status` shows: sessions with their owners, and what each token uses of what it may. */
  status(): { sessions: JsonObject[]; tokens: JsonObject[] } {
    const names = new Map<string, string>()
    const sessions = [...this.#living.values()].map(({ session, owner }) => {
      if (owner.name !== undefined) names.set(owner.id, owner.name)
      const kind = owner.guest?.split("/")[0] ?? "agent"
      return { ...session.status(), owner: owner.name ?? null, kind, ...(owner.claims && { ownerId: owner.id }) }
    })
    const tokens = [...names].map(([id, name]) => ({ id, name, ...this.#quotas.get(id)?.status() }))
    return { sessions, tokens }
  }

  /** Lets nobody new in; returning sessions still are. */
  drain(): void {
    this.#draining = true
  }

  /** For a link through a trusted proxy: it comes from this address, not from the proxy's. */
  through(address: string): Acceptor {
    return {
      admit: (hello, link) => this.admit(hello, link, address),
      secretOf: (sessionId) => this.secretOf(sessionId),
      freeze: (sessionId) => this.freeze(sessionId),
      resumed: (sessionId, ready) => this.resumed(sessionId, ready),
    }
  }

  admit(hello: NewHello, link: Link, behind?: string): Admission {
    const { clock, limits, sessionLimits } = this.#options
    if (this.#draining) throw new RdvError("draining", "The relay is shutting down")
    const id = base64url(randomBytes(12))
    const isLocal = behind === undefined && isLocalLink(link)
    const owner = this.#identify(hello, id, behind ?? addressOf(link.peer), isLocal)
    // Anybody may be a guest, as often as they like: those who have a token find room all the same.
    const most = owner.guest === undefined ? limits.sessions : Math.floor(limits.sessions * guestShare)
    if (this.#living.size >= most) throw new RdvError("limit", `The relay has ${this.#living.size} sessions`)
    const quota = this.#quotas.get(owner.id) ?? new Quota(clock, limits, owner.scopes.limits)
    if (quota.sessions.size >= quota.limits.sessions && !this.#makeRoom(owner)) {
      const who = owner.guest === undefined ? "token" : "guest"
      throw new RdvError("limit", `This ${who} has ${quota.limits.sessions} sessions already`)
    }
    const secret = randomBytes(32)
    return {
      session: id,
      secret,
      graceMs: sessionLimits.graceMs,
      windowBytes: sessionLimits.windowBytes,
      streams: sessionLimits.streams,
      start: (ready, peer) => {
        // Two of its handshakes may have run at once: the first one's quota is the owner's.
        const shared = this.#quotas.get(owner.id) ?? quota
        this.#quotas.set(owner.id, shared)
        const session = this.#options.start({ id, owner, quota: shared, hello, ready, peer, from: behind ?? link.peer })
        this.#living.set(id, { session, secret, owner, quota: shared })
        shared.sessions.add(session)
      },
    }
  }

  secretOf(sessionId: string): Uint8Array | undefined {
    return this.#living.get(sessionId)?.secret
  }

  freeze(sessionId: string): number {
    const { session } = this.#living.get(sessionId) as Living
    session.detachLink(new RdvError("replaced", "A newer link took over"))
    return session.received
  }

  resumed(sessionId: string, { link, peerReceived, checked, early }: Resumed): void {
    this.#living.get(sessionId)?.session.attachLink(link, peerReceived, checked, early)
  }

  /** The session is over. */
  forget(sessionId: string): void {
    const living = this.#living.get(sessionId)
    if (living === undefined) return
    this.#living.delete(sessionId)
    const { owner, quota, session } = living
    quota.sessions.delete(session)
    if (quota.sessions.size === 0 && !quota.remembers) this.#quotas.delete(owner.id)
  }

  /** Ends the sessions of tokens that were revoked or have expired meanwhile. */
  sweep(): void {
    const records = new Map(this.#options.store.listTokens().map((record) => [record.id, record]))
    const now = this.#options.clock.wall()
    const isOver = (id: string) => {
      const record = records.get(id)
      return record === undefined || record.revokedAt !== null || (record.expiresAt ?? Infinity) <= now
    }
    for (const { session, owner } of this.#living.values()) {
      if (owner.name !== undefined && isOver(owner.id)) {
        session.close("unauthorized", "The token was revoked or has expired")
      }
    }
    for (const [id, quota] of this.#quotas) if (quota.sessions.size === 0 && isOver(id)) this.#quotas.delete(id)
  }

  /** A tab that was reloaded does not come back to its session. */
  #makeRoom({ id, guest, claims }: Owner): boolean {
    if (guest === undefined || !claims) return false
    for (const { session, owner } of this.#living.values()) {
      if (owner.id !== id || session.state !== "suspended") continue
      session.close("replaced", "It has lost its link, and a newer session wants its place")
      return true
    }
    return false
  }

  #identify(hello: NewHello, sessionId: string, address: string, isLocal: boolean): Owner {
    const { open } = this.#options
    const { instance } = hello
    if (hello.token === undefined) {
      // Who does not say where it comes from shares nothing with others who do not.
      const owner = instance === undefined ? `session/${sessionId}` : `anonymous/${instance}`
      if (open === true || (open === "local" && isLocal)) {
        return { id: owner, name: undefined, claims: false, scopes: {}, instance }
      }
      throw new RdvError("unauthorized", "This relay wants a token: make one there with `rdv token new`")
    }
    const guest = guestShape.exec(hello.token)
    if (guest !== null) return this.#guest(guest as unknown as [string, string, string, string], address, instance)
    const { id, name, scopes } = this.verify(hello.token, address)
    return { id, name, claims: true, scopes, instance }
  }

  #guest([, capability, which, proof]: [string, string, string, string], address: string, instance?: string): Owner {
    this.#checkAttempts(address)
    const what = `${capability}${which}`
    const check = this.#guests.get(capability)
    if (check === undefined) throw new RdvError("no_service", `"${capability}" is not offered here`)
    let grant
    try {
      grant = check(what, proof, address)
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "unauthorized") this.#attempts.failed(address)
      this.#options.log.warn("auth.refused", { address, reason: error.code })
      throw error
    }
    this.#attempts.succeeded(address)
    const name = undefined
    if (grant) {
      const { ownerId, scopes, mayClaim } = grant
      return { id: ownerId, name, claims: true, scopes, instance, guest: what, mayClaim }
    }
    const scopes = { names: [], ports: [], services: [capability, `${capability}/*`], channels: [] }
    return { id: `guest/${what}`, name, claims: false, scopes, instance, guest: what }
  }

  #checkAttempts(address: string): void {
    const waitMs = this.#attempts.waitMs(address)
    if (waitMs <= 0) return
    throw new RdvError("rate_limited", `Too many failed tokens from your address: wait ${Math.ceil(waitMs / 1000)} s`)
  }

  /** The record of a token that comes from this address. Throws `unauthorized`, `rate_limited`. */
  verify(token: string, address: string): TokenRecord {
    const { store, log } = this.#options
    this.#checkAttempts(address)
    const verdict = store.verifyToken(token)
    if (verdict.ok) {
      this.#attempts.succeeded(address)
      return verdict.record
    }
    this.#attempts.failed(address)
    log.warn("auth.refused", { address, reason: verdict.reason })
    throw new RdvError("unauthorized", refusals[verdict.reason])
  }
}

const refusals: Record<TokenRefusal, string> = {
  malformed: "The token is not complete or has a typing error: copy it again",
  unknown: "The relay does not know this token: make one there with `rdv token new`",
  expired: "The token has expired: make a new one on the relay with `rdv token new`",
  revoked: "The token was revoked: make a new one on the relay with `rdv token new`",
}

/** Addresses whose failures are remembered; about 100 bytes each. */
const rememberedAddresses = 10_000

/** `1.2.3.4:5` and `[::1]:5` without the port. */
export function addressOf(peer: string): string {
  const at = peer.lastIndexOf(":")
  return at > 0 ? peer.slice(0, at) : peer
}
