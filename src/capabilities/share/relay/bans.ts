/**
 * Who sent false chunks stays out, and has a hard time to return under another name: names cost nothing, so where the liar
 * was a guest its address is remembered too. An address may be a whole office behind one translator, so it is not shut out:
 * those from there who are in the swarm already stay and come back, newcomers wait a minute (twice as long after each further
 * ban, an hour at most), and are put out at the first false chunk. Who shows a token is known by its operator.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"

interface Place {
  /** Nobody new from there until then, ms. */
  readonly until: number
  readonly waitMs: number
}

export class Bans {
  readonly #clock: Clock
  readonly #names: Set<string> = new Set()
  readonly #places: Map<string, Place> = new Map()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `address`: of a guest. */
  ban(id: string, address: string | undefined): void {
    this.#names.add(id)
    forgetOldest(this.#names, mostNames)
    if (address === undefined) return
    const place = placeOf(address)
    const waitMs = Math.min(mostWaitMs, (this.#known(place)?.waitMs ?? firstWaitMs / 2) * 2)
    this.#places.delete(place)
    this.#places.set(place, { until: this.#clock.now() + waitMs, waitMs })
    forgetOldest(this.#places, mostPlaces)
  }

  /** Throws `forbidden`. */
  check(id: string): void {
    if (this.#names.has(id)) throw new RdvError("forbidden", "You sent chunks that were not what they should be")
  }

  /** Of a guest that was not here before. Throws `limit`. */
  checkNew(address: string): void {
    const waitMs = (this.#known(placeOf(address))?.until ?? 0) - this.#clock.now()
    if (waitMs <= 0) return
    const seconds = Math.ceil(waitMs / 1_000)
    throw new RdvError("limit", `Somebody at your address sent false chunks: nobody new from there for ${seconds} s`)
  }

  /** Somebody from there was banned: one false chunk is enough. */
  isSuspect(address: string): boolean {
    return this.#known(placeOf(address)) !== undefined
  }

  /** Undefined when an hour has passed since. */
  #known(place: string): Place | undefined {
    const known = this.#places.get(place)
    return known !== undefined && this.#clock.now() < known.until + mostWaitMs ? known : undefined
  }
}

/** IPv6 by its network: a host has as many addresses there as it likes (RFC 8981). */
function placeOf(address: string): string {
  if (!address.includes(":")) return address
  const [head = "", tail] = address.split("::")
  const first = head === "" ? [] : head.split(":")
  const last = tail === undefined || tail === "" ? [] : tail.split(":")
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  return [...first, ...Array.from({ length: zeros }, () => "0"), ...last].slice(0, 4).join(":")
}

function forgetOldest(all: Set<string> | Map<string, unknown>, most: number): void {
  if (all.size <= most) return
  const [oldest] = all.keys()
  if (oldest !== undefined) all.delete(oldest)
}

const firstWaitMs = 60_000
const mostWaitMs = 3_600_000
/** Of a swarm; about 100 bytes each. */
const mostNames = 10_000
const mostPlaces = 1_000
