/** A value over time, read forwards: connections of the closed model, and what the plan wants for the report. */

import type { Phase, ShapePlan } from "../scenario/scenario.ts"
import { pieces } from "./pieces.ts"
import type { Piece } from "./pieces.ts"

export class Course {
  readonly #pieces: Iterator<Piece>
  #piece: Piece | undefined

  constructor(phases: readonly Phase[], most?: number) {
    this.#pieces = pieces(phases, most)
    this.#piece = this.#following()
  }

  /** The value at an instant that is not before the last one asked for; undefined behind the end. */
  at(ms: number): number | undefined {
    while (this.#piece !== undefined && ms >= this.#piece.toMs) this.#piece = this.#following()
    const piece = this.#piece
    if (piece === undefined) return undefined
    if (piece.from === piece.to) return piece.from
    return piece.from + ((piece.to - piece.from) * (ms - piece.fromMs)) / (piece.toMs - piece.fromMs)
  }

  #following(): Piece | undefined {
    const { value, done } = this.#pieces.next()
    return done === true ? undefined : value
  }
}

/** The highest value that the phases ever have. */
export function mostOf(phases: readonly Phase[]): number {
  return Math.max(0, ...phases.map(({ shape }) => mostIn(shape)))
}

function mostIn(shape: ShapePlan): number {
  switch (shape.kind) {
    case "constant":
      return shape.value
    case "ramp":
    case "sawtooth":
      return Math.max(shape.from, shape.to)
    case "step":
      return Math.max(shape.from, shape.until)
    case "sine":
      return shape.mean + Math.abs(shape.amplitude)
    case "spike":
      return Math.max(shape.base, shape.peak)
    case "replay":
      return 0
  }
}

/** When the last phase ends, ms; Infinity when it does not. */
export function planEndMs(phases: readonly Phase[]): number {
  let endMs = 0
  for (const { durationMs, shape } of phases) {
    endMs += durationMs ?? (shape.kind === "replay" ? (shape.atMs.at(-1) ?? 0) + 1 : Infinity)
  }
  return endMs
}

/** How many messages a rate plans up to `endMs`. */
export function messagesUntil(phases: readonly Phase[], endMs: number, maxRate?: number): number {
  let messages = 0
  for (const { fromMs, toMs, from, to, instants } of pieces(phases, maxRate)) {
    if (fromMs >= endMs) break
    const untilMs = Math.min(toMs, endMs)
    const share = from === to ? 0 : (untilMs - fromMs) / (toMs - fromMs)
    const last = from + (to - from) * share
    messages += ((from + last) / 2000) * (untilMs - fromMs)
    if (instants !== undefined) messages += instants.filter((at) => at < endMs).length
  }
  return messages
}
