/**
 * Which targets are welcome in which order: first by priority, and within a priority by how near they are. A level is one
 * such group. The first level takes everything as long as enough of it is usable; what it cannot cover goes to the next.
 *
 * A level covers `usable share / spillBelow` of the connections, at most all. The share counts by weight. With a
 * `spillBelow` of 0.7 a level with half of its weight usable covers 0.5 / 0.7 = 71 %, and 29 % go to the next one. When all
 * levels together cover less than everything, each gets its part of what they cover.
 */

import type { PolicySettings } from "../config/settings.ts"
import type { Target } from "../target/target.ts"
import type { Member } from "../policy/policy.ts"

/** Those of one priority and one distance, in the order of the file. */
export interface LevelMembers {
  /** Stays the same while the level is the same group to people: `0/local`. */
  readonly key: string
  readonly members: readonly Member[]
}

/** Targets that are at most so many times as far away as the nearest one of their band belong to it … */
const bandFactor = 2

/** … and so are those that are only so much further, ms: below that, distance means nothing. */
const bandSlackMs = 1

/** Most welcome first. */
export function sortIntoLevels(
  members: readonly Member[],
  locality: PolicySettings["locality"],
  zone: string | undefined,
): LevelMembers[] {
  const bandOf = bands(members, locality, zone)
  const levels = new Map<string, { priority: number; band: number; members: Member[] }>()
  for (const member of members) {
    const { priority } = member.target.settings
    const band = bandOf(member.target)
    const key = `${priority}/${band}`
    const level = levels.get(key)
    if (level === undefined) levels.set(key, { priority, band, members: [member] })
    else level.members.push(member)
  }
  return [...levels]
    .toSorted(([, a], [, b]) => a.priority - b.priority || a.band - b.band)
    .map(([key, level]) => ({ key, members: level.members }))
}

function bands(
  members: readonly Member[],
  locality: PolicySettings["locality"],
  zone: string | undefined,
): (target: Target) => number {
  if (locality === "zone" && zone !== undefined) return ({ settings }) => (settings.zone === zone ? 0 : 1)
  if (locality !== "rtt") return () => 0
  const ends: number[] = []
  for (const distance of members
    .map(({ target }) => target.distanceMs)
    .filter((distanceMs) => distanceMs !== undefined)
    .toSorted((a, b) => a - b)) {
    const end = ends.at(-1)
    if (end === undefined || distance > end) ends.push(distance * bandFactor + bandSlackMs)
  }
  // Who was never measured counts as near: that is how it gets measured.
  return ({ distanceMs }) =>
    distanceMs === undefined
      ? 0
      : Math.max(
          0,
          ends.findIndex((end) => distanceMs <= end),
        )
}

/** What share of the connections each level gets; sums up to 1 unless no level can take any. */
export function shareOut(usableShares: readonly number[], spillBelow: number): number[] {
  let left = 1
  const loads = usableShares.map((share) => {
    const covers = share === 0 ? 0 : Math.min(1, share / spillBelow)
    const load = Math.min(left, covers)
    left -= load
    return load
  })
  let sum = 0
  for (const load of loads) sum += load
  return sum > 0 && left > 0 ? loads.map((load) => load / sum) : loads
}
