/**
 * The targets of one app, and who of them gets a connection. What health checks, operators, the outlier guard and the
 * breaker say is folded into lists once, when something changes; per connection the policy only looks at these.
 *
 * Order of thought: priorities and locality form levels (`levels.ts`), the level is drawn by its share, the app's policy
 * chooses within it. Is everybody there full or tried, the other levels are asked in their order.
 *
 * Panic: when in every level fewer targets are usable than `panicBelow` says, health is no longer believed and all that the
 * operator has not taken out are used. A level that is well keeps the others from panic: it gets the connections instead.
 */

import type { Clock } from "../../../base/clock.ts"
import type { AppSettings, TargetSettings } from "../config/settings.ts"
import { makePolicy } from "../policy/make-policy.ts"
import type { Member, Policy, PolicyRequest } from "../policy/policy.ts"
import { addressText, Target } from "../target/target.ts"
import { shareOut, sortIntoLevels, type LevelMembers } from "./levels.ts"
import { rampAt, rampStepMs } from "./slow-start.ts"

export interface PoolOptions {
  readonly app: AppSettings
  readonly clock: Clock
  /** From 0 up to and without 1. */
  readonly random: () => number
  /** Ours. */
  readonly zone: string | undefined
}

export type Choice =
  | {
      readonly target: Target
      /** `round-robin`, `retry 2`, `panic`, `spill`; `hash-next`: not the client's own target, which is not usable now. */
      readonly why: string
    }
  /** `full`: there is one that would be used if it were not full, so waiting may help. */
  | { readonly target: undefined; readonly obstacle: "full" | "none" }

/** Names are unique among the targets of an app; of two with one name, the first counts. */
export interface PoolChange {
  readonly added: Target[]
  /** Marked as removed already. */
  readonly removed: Target[]
  readonly kept: Target[]
}

interface Level {
  readonly key: string
  readonly policy: Policy
  /** Of the connections, 0 to 1. */
  readonly share: number
}

/** Measured distances are sorted again so often, ms. */
const distancesMs = 1000

const full: Choice = { target: undefined, obstacle: "full" }
const none: Choice = { target: undefined, obstacle: "none" }

export class Pool {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #zone: string | undefined
  #app: AppSettings
  #members: readonly Member[] = []
  #targets: readonly Target[] = []
  /** Those that may be chosen, full or not. */
  #usable: readonly Member[] = []
  /** Most welcome first; those without a usable target are left out. */
  #levels: readonly Level[] = []
  /** By level; they keep their place in the rotation and their tables. */
  #policies = new Map<string, Policy>()
  /** Key of the level that gets everything when all is well. */
  #home: string | undefined
  #panic = false
  /** Without an obstacle at the last look. */
  #healthy = new Set<Member>()
  #refreshedAt = 0
  /** Clock time from which on the lists are too old. */
  #validUntil = 0

  constructor(options: PoolOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#zone = options.zone
    this.#app = options.app
    this.update(options.app)
  }

  /** In the order of the file, without those that were removed. */
  get targets(): readonly Target[] {
    return this.#targets
  }

  /** Health is ignored because too few targets are usable. */
  get panic(): boolean {
    this.#refresh()
    return this.#panic
  }

  /** Targets without an obstacle, other than that they may be full. Those that only panic would use do not count. */
  usableCount(): number {
    this.#refresh()
    return this.#healthy.size
  }

  /** Somebody wrote health, orders, an ejection, the breaker or settings of a target. Cheap; say it at once. */
  changed(): void {
    this.#validUntil = 0
  }

  /** Takes over a new configuration: targets are kept by name, with all that is known of them. */
  update(app: AppSettings): PoolChange {
    const isFirst = this.#members.length === 0
    const before = new Map(this.#members.map((member) => [member.target.name, member]))
    const after = new Map<string, Member>()
    const change: PoolChange = { added: [], removed: [], kept: [] }
    for (const settings of app.targets) {
      const name = addressText(settings.address)
      if (after.has(name)) continue
      const known = before.get(name)
      const member = known ?? this.#newMember(settings, isFirst)
      if (known === undefined) change.added.push(member.target)
      else {
        follow(known.target, settings)
        change.kept.push(known.target)
      }
      member.place = after.size
      after.set(name, member)
    }
    for (const [name, { target }] of before) {
      if (after.has(name)) continue
      target.removed = true
      change.removed.push(target)
    }
    if (!isSamePolicy(this.#app, app)) this.#policies.clear()
    this.#app = app
    this.#members = [...after.values()]
    this.#targets = this.#members.map(({ target }) => target)
    this.changed()
    return change
  }

  /** A target for one connection. It is the caller who counts it in `pending` and `active` of the target. */
  choose(request: PolicyRequest): Choice {
    this.#refresh()
    const levels = this.#levels
    const drawn = this.#draw(levels, request)
    let level = drawn
    let member = drawn?.policy.pick(request)
    for (let at = 0; member === undefined && at < levels.length; at++) {
      level = levels[at] as Level
      if (level !== drawn) member = level.policy.pick(request)
    }
    if (member === undefined || level === undefined) return this.#isSomeFull(request) ? full : none
    return { target: member.target, why: this.#why(level, request) }
  }

  /** When nobody else is left: of the ejected targets the one that comes back first. It may be better than its reputation. */
  lastResort({ tried }: Pick<PolicyRequest, "tried">): Target | undefined {
    const now = this.#clock.now()
    let found: Target | undefined
    for (const target of this.#targets) {
      if (tried.has(target) || target.obstacle(now) !== "ejected" || target.settings.weight === 0) continue
      if (!target.isFull && (found === undefined || target.ejectedUntil < found.ejectedUntil)) found = target
    }
    return found
  }

  #draw(levels: readonly Level[], request: PolicyRequest): Level | undefined {
    const [first] = levels
    if (first === undefined || first.share >= 1) return first
    let rest = first.policy.fraction?.(request.client) ?? this.#random()
    for (const level of levels) {
      rest -= level.share
      if (rest < 0) return level
    }
    return first
  }

  #why(level: Level, { tried }: PolicyRequest): string {
    if (tried.size > 0) return `retry ${tried.size}`
    if (this.#panic) return "panic"
    if (level.key !== this.#home) return "spill"
    const { kind } = this.#app.policy
    return level.policy.deflected === true ? `${kind}-next` : kind
  }

  #isSomeFull({ tried }: PolicyRequest): boolean {
    return this.#usable.some(({ target }) => target.isFull && !tried.has(target))
  }

  #newMember(settings: TargetSettings, isFirst: boolean): Member {
    const target = new Target(settings, this.#clock)
    const member = { target, place: 0, weight: settings.weight, ramp: 1, usable: false, turn: 0 }
    this.#healthy.add(member)
    // What we begin with was there before us, as far as we know; what comes later begins slowly.
    if (!isFirst) target.usableSince = this.#clock.now()
    return member
  }

  #refresh(): void {
    const now = this.#clock.now()
    if (now < this.#validUntil) return
    this.#validUntil = Number.POSITIVE_INFINITY
    const healthy = new Set<Member>()
    for (const member of this.#members) if (this.#assess(member, now)) healthy.add(member)
    this.#healthy = healthy
    this.#refreshedAt = now
    const { policy, outlier } = this.#app
    // Those without weight get nothing, so they are no part of any level.
    const weighty = this.#members.filter(({ target }) => target.settings.weight > 0)
    const sorted = sortIntoLevels(weighty, policy.locality, this.#zone)
    if (policy.locality === "rtt") this.#validUntil = Math.min(this.#validUntil, now + distancesMs)
    const serving = sorted
      .map((level) => ({ ...level, serving: level.members.filter(({ target }) => target.orders === "serve") }))
      .filter((level) => level.serving.length > 0)
    this.#panic =
      serving.length > 0 &&
      serving.every((level) => countIn(level.serving, healthy) < outlier.panicBelow * level.serving.length)
    for (const member of this.#members) {
      member.usable = healthy.has(member) || (this.#panic && member.target.orders === "serve")
    }
    this.#usable = weighty.filter(({ usable }) => usable)
    this.#home = serving[0]?.key
    const shares = shareOut(
      serving.map((level) => weightIn(level.serving, healthy) / weightIn(level.serving)),
      policy.spillBelow,
    )
    this.#levels = this.#build(serving, shares)
  }

  #build(sorted: readonly LevelMembers[], shares: readonly number[]): Level[] {
    const policies = new Map<string, Policy>()
    const levels: Level[] = []
    for (const [at, { key, members }] of sorted.entries()) {
      const policy = this.#policies.get(key) ?? makePolicy(this.#app.policy, this.#random)
      policies.set(key, policy)
      const usable = members.filter((member) => member.usable)
      policy.use(usable, members)
      if (usable.length > 0) levels.push({ key, policy, share: shares[at] as number })
    }
    this.#policies = policies
    return levels
  }

  /** Brings weight and ramp up to date; true when the target has no obstacle, other than that it may be full. */
  #assess(member: Member, now: number): boolean {
    const { target } = member
    const { slowStartMs } = this.#app
    const obstacle = target.obstacle(now)
    const isHealthy = obstacle === undefined || obstacle === "full"
    if (target.ejectedUntil > now) this.#validUntil = Math.min(this.#validUntil, target.ejectedUntil)
    // Checks and guards say since when; of orders and weights nobody does.
    if (isHealthy && !this.#healthy.has(member) && target.usableSince < this.#refreshedAt) target.usableSince = now
    member.ramp = rampAt(target.usableSince, slowStartMs, now)
    member.weight = target.settings.weight * member.ramp
    if (isHealthy && member.ramp < 1) this.#validUntil = Math.min(this.#validUntil, now + rampStepMs(slowStartMs))
    return isHealthy
  }
}

/** A word of the file overrides the operator's when the file has changed its mind; else the operator's stays. */
function follow(target: Target, settings: TargetSettings): void {
  if (settings.disabled !== target.settings.disabled) target.orders = settings.disabled ? "disable" : "serve"
  target.settings = settings
}

function isSamePolicy(a: AppSettings, b: AppSettings): boolean {
  return a.policy.kind === b.policy.kind && a.policy.bound === b.policy.bound
}

function countIn(members: readonly Member[], set: ReadonlySet<Member>): number {
  let count = 0
  for (const member of members) if (set.has(member)) count++
  return count
}

/** By configured weight: slow start does not make a level weaker. */
function weightIn(members: readonly Member[], set?: ReadonlySet<Member>): number {
  let weight = 0
  for (const member of members) if (set === undefined || set.has(member)) weight += member.target.settings.weight
  return weight
}
