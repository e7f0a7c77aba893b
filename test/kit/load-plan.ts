/** Plans against servers that delay on purpose, and rounds of them: the noise of a machine can only add. */

import type { Result } from "../../src/capabilities/load/record/result.ts"
import { runScenario } from "../../src/capabilities/load/run.ts"
import type { Ending, Model, Phase, Scenario } from "../../src/capabilities/load/scenario/scenario.ts"
import { startDelayServer } from "./delay-server.ts"
import type { DelayMode } from "./delay-server.ts"

export interface Wanted {
  readonly model: Model
  readonly phases: readonly Phase[]
  readonly ending?: Partial<Ending>
  readonly thresholds?: readonly string[]
  readonly warmUpMs?: number
}

export function scenario(ports: readonly number[], wanted: Wanted): Scenario {
  return {
    name: "test",
    targets: ports.map((port) => ({ label: `echo:${port}`, protocol: "tcp", host: "127.0.0.1", port, path: "" })),
    model: wanted.model,
    phases: wanted.phases,
    warmUpMs: wanted.warmUpMs ?? 0,
    messages: { kind: "text", text: "hello world" },
    framing: { kind: "none" },
    expect: { kind: "echo" },
    pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
    ending: { stopWhen: [], drainMs: 2000, timeoutMs: 5000, connectTimeoutMs: 2000, ...wanted.ending },
    thresholds: wanted.thresholds ?? [],
    seed: 1,
  }
}

export function open(connections: number, whenBusy: "queue" | "drop" = "queue", queueLimit = 100_000): Model {
  return { kind: "open", connections, arrivals: "even", whenBusy, queueLimit }
}
export function rate(value: number, seconds: number): readonly Phase[] {
  return [{ shape: { kind: "constant", value }, durationMs: seconds * 1000 }]
}

export function run(plan: Scenario, workers = 1): Promise<Result> {
  return runScenario({ scenario: plan, workers, version: "test" })
}

/** The first round that passes; the last one's failure when none does. */
export async function bestOf(
  rounds: number,
  mode: DelayMode,
  wanted: Wanted,
  check: (result: Result) => void,
): Promise<void> {
  const server = await startDelayServer(mode)
  try {
    for (let round = 1; ; round++) {
      const result = await run(scenario([server.port], wanted))
      try {
        check(result)
        return
      } catch (error) {
        if (round === rounds) throw error
      }
    }
  } finally {
    await server.stop()
  }
}
