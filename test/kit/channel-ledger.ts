/**
 * Who sent, got and kept which message, as the parties of a run tell it, and the laws of channels held against that: no
 * message lost, kept by two who live, reordered, or delivered after its sender was told that it will not be.
 */

/** What parties tell. A lane is one stream or open file of one party: what is answered on it is answered in order. */
export type PartyEvent =
  | { readonly event: "sending"; readonly id: string; readonly writer: string; readonly channel: string }
  /** `unknown`: the connection was lost, and nobody can say. */
  | { readonly event: "told"; readonly id: string; readonly verdict: "ok" | "failed" | "unknown"; readonly why: string }
  /** `number` is the channel's own, where the lane has it. */
  | {
      readonly event: "got"
      readonly id: string
      readonly lane: string
      readonly attempt?: number
      readonly number?: number
    }
  | { readonly event: "kept"; readonly id: string; readonly lane: string }
  /** Given back on purpose. */
  | { readonly event: "back"; readonly id: string; readonly lane: string }
  /** The server knows of everything that this lane kept so far. */
  | { readonly event: "proven"; readonly lane: string }
  | { readonly event: "failure"; readonly reason: string }

export type Tell = (event: PartyEvent) => void

interface Sent {
  readonly writer: string
  readonly channel: string
  readonly order: number
  verdict: "ok" | "failed" | "unknown"
  why: string
}

interface Holding {
  readonly lane: string
  state: "got" | "kept" | "proven" | "back"
}

export class ChannelLedger {
  readonly failures: string[] = []
  readonly #sent: Map<string, Sent> = new Map()
  readonly #holdings: Map<string, Holding[]> = new Map()
  readonly #lanes: Map<string, Holding[]> = new Map()
  /** First attempts, as each lane got them. */
  readonly #firsts: Map<string, string[]> = new Map()
  /** The channel's own, where a lane has told it. */
  readonly #numbers: Map<string, number> = new Map()
  readonly #why: Map<string, number> = new Map()

  readonly hear: Tell = (event) => {
    switch (event.event) {
      case "sending":
        if (this.#sent.has(event.id)) this.failures.push(`${event.id} was sent twice by the test`)
        this.#sent.set(event.id, {
          writer: event.writer,
          channel: event.channel,
          order: this.#sent.size,
          verdict: "unknown",
          why: neverTold,
        })
        return
      case "told": {
        const sent = this.#sent.get(event.id) as Sent
        // A connection that is lost behind the answer changes nothing.
        if (sent.why !== neverTold) return
        sent.verdict = event.verdict
        sent.why = event.why
        return
      }
      case "got": {
        const holding: Holding = { lane: event.lane, state: "got" }
        listOf(this.#holdings, event.id).push(holding)
        listOf(this.#lanes, event.lane).push(holding)
        // Over 9P nobody knows whether a message was given out before.
        if (event.attempt === 1) listOf(this.#firsts, event.lane).push(event.id)
        if (event.number !== undefined) this.#numbers.set(event.id, event.number)
        return
      }
      case "kept":
      case "back": {
        const holding = this.#holdings.get(event.id)?.findLast(({ lane }) => lane === event.lane)
        if (holding === undefined) this.failures.push(`${event.id} was kept by ${event.lane}, which never got it`)
        else holding.state = event.event
        return
      }
      case "proven":
        for (const holding of this.#lanes.get(event.lane) ?? []) if (holding.state === "kept") holding.state = "proven"
        this.#lanes.delete(event.lane)
        return
      case "failure":
        this.failures.push(event.reason)
    }
  }

  /** How many messages were told what, for people. */
  get summary(): string {
    this.#why.clear()
    for (const { verdict, why } of this.#sent.values()) {
      const key = why === "" ? verdict : `${verdict} (${why})`
      this.#why.set(key, (this.#why.get(key) ?? 0) + 1)
    }
    const words = [...this.#why].toSorted((a, b) => b[1] - a[1]).map(([key, count]) => `${count} ${key}`)
    const again = [...this.#holdings.values()].filter((holdings) => holdings.length > 1).length
    return `${this.#sent.size} messages: ${words.join(", ")}; ${again} given out more than once`
  }

  get sent(): number {
    return this.#sent.size
  }

  /** Messages that somebody proved to have, at least and at most. */
  receipts(channel: string): { readonly least: number; readonly most: number } {
    let [least, most] = [0, 0]
    for (const [id, holdings] of this.#holdings) {
      if (this.#sent.get(id)?.channel !== channel) continue
      least += holdings.filter(({ state }) => state === "proven").length
      most += holdings.filter(({ state }) => state !== "back").length
    }
    return { least, most }
  }

  /** What breaks a law, when everything has been received. */
  breaches(): string[] {
    const breaches = [...this.failures]
    for (const id of this.#holdings.keys()) if (!this.#sent.has(id)) breaches.push(`${id} was received and never sent`)
    for (const [id, { verdict, why }] of this.#sent) {
      const holdings = this.#holdings.get(id) ?? []
      const proven = holdings.filter(({ state }) => state === "proven")
      // Its party was killed or lost its connection before it could know.
      const open = holdings.filter(({ state }) => state === "got" || state === "kept")
      const story = `${id} (${verdict} ${why}): ${holdings.map(({ lane, state }) => `${state} by ${lane}`).join(", ") || "got by nobody"}`
      if (proven.length > 1) breaches.push(`doubled: ${story}`)
      if (verdict === "ok" && proven.length + open.length === 0) breaches.push(`lost: ${story}`)
      // Given back, or in the hands of somebody who was lost: its sender's time may be over then.
      if (verdict === "failed" && proven.length > 0)
        breaches.push(`delivered although its sender was told no: ${story}`)
    }
    return [...breaches, ...this.#reordered()]
  }

  /** Of one writer and channel, a lane gets first attempts in order, and the channel's numbers grow likewise. */
  *#reordered(): Generator<string> {
    for (const [lane, firsts] of this.#firsts) {
      const last: Map<string, string> = new Map()
      for (const id of firsts) {
        const key = this.#line(id)
        const before = last.get(key)
        if (before !== undefined && this.#order(before) > this.#order(id)) {
          yield `reordered: ${lane} got ${id} behind ${before}`
        }
        last.set(key, id)
      }
    }
    const last: Map<string, string> = new Map()
    for (const [id] of this.#sent) {
      if (!this.#numbers.has(id)) continue
      const before = last.get(this.#line(id))
      const [number, lower] = [this.#numbers.get(id) ?? 0, this.#numbers.get(before ?? "") ?? 0]
      if (lower >= number) yield `reordered: ${id} has number ${number}, and ${before} before it ${lower}`
      last.set(this.#line(id), id)
    }
  }

  #line(id: string): string {
    const sent = this.#sent.get(id)
    return `${sent?.writer} ${sent?.channel}`
  }

  #order(id: string): number {
    return this.#sent.get(id)?.order ?? 0
  }
}

const neverTold = "never told"

function listOf<Key, Value>(map: Map<Key, Value[]>, key: Key): Value[] {
  const found = map.get(key)
  if (found !== undefined) return found
  const made: Value[] = []
  map.set(key, made)
  return made
}
