/** A pool of targets with letters as names, on a clock and chance that the test owns. */

import { SeededRandom } from "../../src/base/random.ts"
import { defaultTarget } from "../../src/capabilities/balance/config/defaults.ts"
import type { AppSettings, PolicySettings, TargetSettings } from "../../src/capabilities/balance/config/settings.ts"
import { Pool } from "../../src/capabilities/balance/pool/pool.ts"
import type { Target } from "../../src/capabilities/balance/target/target.ts"
import { FakeClock } from "./fake-clock.ts"

export const untried: ReadonlySet<Target> = new Set()

export interface Rig {
  readonly pool: Pool
  readonly clock: FakeClock
  app(targets: readonly TargetWish[]): AppSettings
}

export type TargetWish = string | ({ readonly name: string } & Partial<TargetSettings>)

export interface Wishes {
  readonly targets: readonly TargetWish[]
  readonly policy?: Partial<PolicySettings>
  readonly slowStartMs?: number
  readonly panicBelow?: number
  readonly zone?: string
  readonly seed?: number
}

export function rig(wishes: Wishes): Rig {
  const clock = new FakeClock()
  const random = new SeededRandom(wishes.seed ?? 7)
  const app = (targets: readonly TargetWish[]) =>
    ({
      targets: targets.map(settingsOf),
      policy: { kind: "round-robin", bound: undefined, spillBelow: 0.7, locality: "off", ...wishes.policy },
      slowStartMs: wishes.slowStartMs ?? 0,
      outlier: { panicBelow: wishes.panicBelow ?? 0 },
    }) as unknown as AppSettings
  const pool = new Pool({ app: app(wishes.targets), clock, random: () => random.fraction(), zone: wishes.zone })
  return { pool, clock, app }
}

function settingsOf(wish: TargetWish): TargetSettings {
  const { name, ...rest } = typeof wish === "string" ? { name: wish } : wish
  return {
    address: { kind: "rdv", name },
    ...defaultTarget,
    ...rest,
  }
}

/** Chooses for so many clients, who leave at once; `full` and `none` where there is no target. */
export function pick(pool: Pool, count: number, client: (at: number) => string = () => "10.0.0.1"): string[] {
  return Array.from({ length: count }, (_, at) => {
    const choice = pool.choose({ client: client(at), tried: untried })
    return choice.target === undefined ? choice.obstacle : short(choice.target)
  })
}

/** How many of so many connections each target gets, when so many run at a time and the oldest ends before the next begins. */
export function passing(pool: Pool, count: number, together: number): number[] {
  const counts = pool.targets.map(() => 0)
  const running: Target[] = []
  for (let at = 0; at < count; at++) {
    if (running.length === together) (running.shift() as Target).active--
    const { target } = pool.choose({ client: "10.0.0.1", tried: untried }) as { target: Target }
    target.active++
    running.push(target)
    const place = pool.targets.indexOf(target)
    counts[place] = (counts[place] ?? 0) + 1
  }
  return counts
}

export function short({ name }: Target): string {
  return name.slice("rdv:".length)
}

/** How often each name occurs. */
export function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Different addresses, the same in every run. */
export function clientAt(at: number): string {
  return `10.${(at >>> 16) & 255}.${(at >>> 8) & 255}.${at & 255}`
}
