/** Where the loops' demands for bandwidth come together, and their parts go out: some times a second, as long as there are any. */

import type { Clock, Timer } from "../../../base/clock.ts"
import { divide } from "../bandwidth/cap-parts.ts"
import type { Demand, Part } from "../bandwidth/cap-parts.ts"
import { isClientCap } from "../bandwidth/shaper.ts"
import type { Bandwidth, Settings } from "../config/settings.ts"
import type { Balancer } from "../engine/balancer.ts"

export interface CapDeskOptions {
  readonly clock: Clock
  /** The keeper's too, which is 0. */
  readonly loops: number
  readonly tell: (loop: number, parts: readonly Part[]) => void
  readonly keeper: Pick<Balancer, "bandwidth" | "settings">
}

/** Loops tell their demands so often, ms. */
export const demandsMs = 200
/** What was not told again is over, ms. */
const staleMs = 500

interface Cap {
  /** By loop. */
  readonly demands: ({ readonly demand: Demand; readonly at: number } | undefined)[]
  /** By loop; undefined: it has what it begins with. */
  parts: readonly (Part | undefined)[] | undefined
}

export class CapDesk {
  readonly #options: CapDeskOptions
  readonly #caps: Map<string, Cap> = new Map()
  #timer: Timer | undefined
  #isStopped = false

  constructor(options: CapDeskOptions) {
    this.#options = options
    this.#later()
  }

  take(loop: number, demands: readonly Demand[]): void {
    const at = this.#options.clock.now()
    for (const demand of demands) {
      let cap = this.#caps.get(demand.cap)
      if (cap === undefined) {
        cap = { demands: Array.from({ length: this.#options.loops }, () => undefined), parts: undefined }
        this.#caps.set(demand.cap, cap)
      }
      cap.demands[loop] = { demand, at }
    }
  }

  /** That loop has died: the next one in its place begins with what loops begin with, and has to be told. */
  gone(loop: number): void {
    for (const cap of this.#caps.values()) {
      cap.demands[loop] = undefined
      cap.parts = cap.parts?.with(loop, undefined)
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #later(): void {
    if (this.#isStopped) return
    this.#timer = this.#options.clock.after(demandsMs, () => {
      this.#look()
      this.#later()
    })
  }

  #look(): void {
    const { clock, keeper, loops, tell } = this.#options
    if (limitsBandwidth(keeper.settings)) this.take(0, keeper.bandwidth.demands())
    if (this.#caps.size === 0) return
    const now = clock.now()
    const news: Part[][] = Array.from({ length: loops }, () => [])
    for (const [name, cap] of this.#caps) {
      const demands = cap.demands.map((told) =>
        told === undefined || now - told.at > staleMs ? undefined : told.demand,
      )
      const active = demands.filter((demand) => demand !== undefined).length
      const before = cap.parts
      const isWhole = active === 0 || (active === 1 && isClientCap(name))
      if (!isWhole) cap.parts = divide(demands)
      else if (isClientCap(name)) {
        // Whoever meets that client next has all of its rate.
        cap.parts = before && before.map(() => ({ cap: name, share: 1, split: [] }))
        this.#caps.delete(name)
      } else this.#caps.delete(name)
      for (const [loop, part] of (cap.parts ?? []).entries()) {
        if (part !== undefined && !isSame(before?.[loop], part)) news[loop]?.push(part)
      }
    }
    for (const [loop, parts] of news.entries()) {
      if (parts.length === 0) continue
      if (loop === 0) keeper.bandwidth.divide(parts)
      else tell(loop, parts)
    }
  }
}

/** Something is limited that event loops have to share. */
export function limitsBandwidth({ bandwidth, apps, tiers }: Settings): boolean {
  return (
    isLimited(bandwidth) ||
    apps.some((app) => isLimited(app.bandwidth.app) || isLimited(app.bandwidth.client)) ||
    tiers.some((tier) => isLimited(tier.bandwidth.client))
  )
}

function isLimited({ up, down }: Bandwidth): boolean {
  return up !== undefined || down !== undefined
}

/** So nearly that it need not be told. */
function isSame(before: Part | undefined, part: Part): boolean {
  if (before === undefined || Math.abs(before.share - part.share) > 0.01) return false
  if (before.split.length !== part.split.length) return false
  return part.split.every(([name, loops], at) => before.split[at]?.[0] === name && before.split[at]?.[1] === loops)
}
