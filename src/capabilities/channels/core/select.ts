/**
 * Of several sends and receives exactly one happens: a fair choice among those that can happen now, else the first one that
 * can. As Go's select statement; Hoare, Communicating Sequential Processes (1978), section 2.4.
 */

import { RdvError } from "../../../base/error.ts"
import type { SeededRandom } from "../../../base/random.ts"
import type { Channel } from "./channel.ts"
import type { Choice, Delivery } from "./parties.ts"
import type { Reader } from "./reader.ts"
import type { Writer } from "./writer.ts"

export type SelectCase =
  | { readonly kind: "receive"; readonly channel: Channel }
  | { readonly kind: "send"; readonly channel: Channel; readonly bytes: Uint8Array }

export type SelectOutcome =
  /** The receiver owes the delivery its proof, and calls `leave` when its connection is lost before. */
  | { readonly kind: "received"; readonly index: number; readonly delivery: Delivery; leave(reason?: string): void }
  /** The message has reached its channel's grade. */
  | { readonly kind: "sent"; readonly index: number }
  /** The case cannot happen any more: its channel is closed, removed or full of waiting parties. */
  | { readonly kind: "failed"; readonly index: number; readonly error: RdvError }

export interface Selection {
  /** True when nothing was chosen yet: nothing will be. False: the outcome was told or comes soon. */
  cancel(): boolean
}

interface Standing {
  readonly reader?: Reader
  readonly writer?: Writer
}

/**
 * `hear` is called once, maybe before this returns. Who does not want to wait cancels behind it: what could happen at once
 * has happened then. Throws `usage`, and `removed` or `limit` of a channel that cannot be opened.
 */
export function select(
  cases: readonly SelectCase[],
  random: SeededRandom,
  hear: (outcome: SelectOutcome) => void,
): Selection {
  if (cases.length === 0) throw new RdvError("usage", "A select needs a case", { mend: "give one" })
  const choice: Choice = { taken: false }
  const standings: Standing[] = []
  let isTold = false
  /** Everybody but the winner goes. */
  const end = (winner: number | undefined) => {
    standings.forEach(({ reader, writer }, index) => {
      if (index === winner) return
      reader?.leave()
      writer?.leave()
    })
  }
  const tell = (outcome: SelectOutcome) => {
    if (isTold) return
    isTold = true
    choice.taken = true
    hear(outcome)
  }
  const begin = (index: number) => {
    const each = cases[index] as SelectCase
    const standing = standings[index] as Standing
    if (each.kind === "receive") {
      const reader = standing.reader as Reader
      reader.receive({
        choice,
        take: (delivery) => {
          end(index)
          reader.retire()
          tell({ kind: "received", index, delivery, leave: (reason) => reader.leave(reason) })
        },
        failed: (error) => {
          if (choice.taken) return
          end(undefined)
          tell({ kind: "failed", index, error })
        },
      })
      return
    }
    const writer = standing.writer as Writer
    let isMatched = false
    writer.send({
      bytes: each.bytes,
      choice,
      matched: () => {
        isMatched = true
        end(index)
      },
      settled: (error) => {
        if (choice.taken && !isMatched) return
        end(index)
        writer.leave()
        tell(error === undefined ? { kind: "sent", index } : { kind: "failed", index, error })
      },
    })
  }
  try {
    for (const each of cases)
      standings.push(each.kind === "receive" ? { reader: each.channel.reader() } : { writer: each.channel.writer() })
  } catch (error) {
    end(undefined)
    throw error
  }
  // In a random order the first one that can happen is any of those that can.
  for (const index of shuffled(cases.length, random)) if (!choice.taken) begin(index)
  return {
    cancel() {
      if (choice.taken || isTold) return false
      choice.taken = true
      isTold = true
      end(undefined)
      return true
    },
  }
}

/** Fisher and Yates. */
function shuffled(count: number, random: SeededRandom): number[] {
  const order = Array.from({ length: count }, (_, index) => index)
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random.fraction() * (at + 1))
    const held = order[at] as number
    order[at] = order[other] as number
    order[other] = held
  }
  return order
}
