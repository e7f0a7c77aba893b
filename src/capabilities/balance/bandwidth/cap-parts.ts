/**
 * How a cap is divided between event loops that cannot ask each other for every byte. Some times a second each tells what
 * it has used and whether it would have used more, and gets its part for the next while: what it needs where that is less
 * than its share by weight, and the rest is shared by those who want more. A loop that was idle keeps a small part, so that
 * its first clients move at once; for that moment the sum may be above the cap by as much.
 */

/** What one loop has used of a cap lately. */
export interface Demand {
  readonly cap: string
  /** Of the cap as a whole, bytes/s. */
  readonly rate: number
  /** Bytes/s. */
  readonly used: number
  /** Somebody had to wait for more. */
  readonly hungry: boolean
  /** Who was active, by name, with their weights; empty where it is one client's own rate. */
  readonly members: readonly (readonly [name: string, weight: number])[]
}

/** What a loop gets of a cap. */
export interface Part {
  readonly cap: string
  /** 0 to 1. */
  readonly share: number
  /** Members that are active in other loops as well, and in how many in all: each gets its part there too. */
  readonly split: readonly (readonly [name: string, loops: number])[]
}

/** Of a cap, to a loop that was idle. */
const idleShare = 0.05

/** Parts for each loop, in the order of `demands`; undefined stands for one that was idle. */
export function divide(demands: readonly (Demand | undefined)[]): readonly Part[] {
  const [known] = demands.filter((demand) => demand !== undefined)
  if (known === undefined) return []
  const { cap, rate } = known
  const loops = new Map<string, number>()
  for (const demand of demands) {
    for (const [name] of demand?.members ?? []) loops.set(name, (loops.get(name) ?? 0) + 1)
  }
  const claims = demands.map((demand) => claimOf(demand, loops, rate))
  fill(claims, rate)
  return demands.map((demand, at) => ({
    cap,
    share: Math.min(1, Math.max(idleShare, (claims[at] as Claim).given / rate)),
    split: (demand?.members ?? []).flatMap(([name]) => {
      const count = loops.get(name) ?? 1
      return count > 1 ? [[name, count] as const] : []
    }),
  }))
}

interface Claim {
  /** Bytes/s. */
  readonly wants: number
  readonly weight: number
  given: number
}

function claimOf(demand: Demand | undefined, loops: ReadonlyMap<string, number>, rate: number): Claim {
  if (demand === undefined) return { wants: 0, weight: 0, given: 0 }
  const { used, hungry, members } = demand
  let weight = members.length === 0 ? 1 : 0
  for (const [name, each] of members) weight += each / (loops.get(name) ?? 1)
  // Room to grow until the next look.
  return { wants: hungry ? Infinity : used * 1.5 + rate * idleShare, weight, given: 0 }
}

/** Max-min fair by weight; what nobody wants goes to all who are active. */
function fill(claims: readonly Claim[], rate: number): void {
  let rest = rate
  let open = claims.filter(({ weight }) => weight > 0)
  for (;;) {
    const weights = open.reduce((sum, { weight }) => sum + weight, 0)
    const level = rest / weights
    const content = open.filter(({ wants, weight }) => wants <= level * weight)
    if (content.length === 0) {
      for (const claim of open) claim.given = level * claim.weight
      return
    }
    for (const claim of content) {
      claim.given = claim.wants
      rest -= claim.wants
    }
    open = open.filter((claim) => !content.includes(claim))
    if (open.length > 0) continue
    const active = claims.filter(({ weight }) => weight > 0)
    const all = active.reduce((sum, { weight }) => sum + weight, 0)
    for (const claim of active) claim.given += (rest * claim.weight) / all
    return
  }
}
