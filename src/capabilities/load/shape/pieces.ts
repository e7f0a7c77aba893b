/**
 * A plan as straight pieces: over each one the value goes linearly from one number to another, so that its integral and
 * the inverse of that have a formula. A sine is drawn by chords; their integral over a period is exact, within it the
 * error is below 0.01 %.
 */

import { RdvError } from "../../../base/error.ts"
import type { Phase, ShapePlan } from "../scenario/scenario.ts"

/** Times in ms since the start of the run. */
export interface Piece {
  readonly fromMs: number
  /** Infinity in the last one of a plan without end. */
  readonly toMs: number
  /** The value at both ends, per second for rates. */
  readonly from: number
  readonly to: number
  /** Instants that stand for themselves, since the run's start; the values are 0 then. */
  readonly instants?: readonly number[]
}

/** The pieces of all phases in order, made as they are needed. Values are held between 0 and `most`. */
export function* pieces(phases: readonly Phase[], most: number = Infinity): Generator<Piece> {
  let startMs = 0
  for (const { shape, durationMs } of phases) {
    if (shape.kind === "replay") {
      const lengthMs = durationMs ?? (shape.atMs.at(-1) ?? 0) + 1
      const instants = shape.atMs.filter((at) => at < lengthMs).map((at) => startMs + at)
      yield { fromMs: startMs, toMs: startMs + lengthMs, from: 0, to: 0, instants }
      startMs += lengthMs
      continue
    }
    const endMs = startMs + (durationMs ?? Infinity)
    for (const piece of shapePieces(shape, durationMs)) {
      const fromMs = startMs + piece.fromMs
      if (fromMs >= endMs) break
      yield* held(cutAt({ ...piece, fromMs, toMs: startMs + piece.toMs }, endMs), most)
    }
    startMs = endMs
  }
}

/** Times since the phase's start; may go on beyond its end. */
function* shapePieces(shape: Exclude<ShapePlan, { kind: "replay" }>, durationMs: number | undefined): Generator<Piece> {
  switch (shape.kind) {
    case "constant":
      yield { fromMs: 0, toMs: Infinity, from: shape.value, to: shape.value }
      return
    case "ramp":
      if (durationMs === undefined) throw new RdvError("usage", "A ramp needs a duration", { mend: "say for how long" })
      yield { fromMs: 0, toMs: durationMs, from: shape.from, to: shape.to }
      return
    case "step": {
      const { from, by, everyMs, until } = shape
      const steps = Math.max(0, Math.ceil((until - from) / by))
      for (let step = 0; step < steps; step++) {
        const value = from + step * by
        yield { fromMs: step * everyMs, toMs: (step + 1) * everyMs, from: value, to: value }
      }
      yield { fromMs: steps * everyMs, toMs: Infinity, from: until, to: until }
      return
    }
    case "sine": {
      const { mean, amplitude, periodMs } = shape
      const value = (at: number) => mean + amplitude * Math.sin((2 * Math.PI * at) / chords)
      for (let at = 0; ; at++) {
        const fromMs = (at * periodMs) / chords
        yield { fromMs, toMs: ((at + 1) * periodMs) / chords, from: value(at), to: value(at + 1) }
      }
    }
    case "sawtooth":
      for (let tooth = 0; ; tooth++) {
        const fromMs = tooth * shape.periodMs
        yield { fromMs, toMs: fromMs + shape.periodMs, from: shape.from, to: shape.to }
      }
    case "spike": {
      const { base, peak, everyMs, widthMs } = shape
      for (let spike = 0; ; spike++) {
        const fromMs = spike * everyMs
        const peakMs = fromMs + everyMs - widthMs
        if (peakMs > fromMs) yield { fromMs, toMs: peakMs, from: base, to: base }
        yield { fromMs: peakMs, toMs: fromMs + everyMs, from: peak, to: peak }
      }
    }
  }
}

/** Chords of one period of a sine. */
const chords = 360

function valueAt(piece: Piece, ms: number): number {
  if (piece.from === piece.to) return piece.from
  return piece.from + ((piece.to - piece.from) * (ms - piece.fromMs)) / (piece.toMs - piece.fromMs)
}

function cutAt(piece: Piece, endMs: number): Piece {
  return piece.toMs <= endMs ? piece : { ...piece, toMs: endMs, to: valueAt(piece, endMs) }
}

/** The piece with its values between 0 and `most`, cut where it crosses them. */
function* held(piece: Piece, most: number): Generator<Piece> {
  const marks = [piece.fromMs, piece.toMs]
  for (const limit of [0, most]) {
    if ((piece.from - limit) * (piece.to - limit) < 0) {
      const share = (limit - piece.from) / (piece.to - piece.from)
      marks.push(piece.fromMs + share * (piece.toMs - piece.fromMs))
    }
  }
  marks.sort((one, other) => one - other)
  const bounded = (value: number) => Math.min(most, Math.max(0, value))
  for (let at = 1; at < marks.length; at++) {
    const [fromMs, toMs] = [marks[at - 1] as number, marks[at] as number]
    if (toMs <= fromMs) continue
    const to = toMs === Infinity ? piece.to : valueAt(piece, toMs)
    yield { fromMs, toMs, from: bounded(valueAt(piece, fromMs)), to: bounded(to) }
  }
}
