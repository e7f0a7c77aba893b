/** `rdv top`: what the balancers of this user do, as a table that lives. */

import { delay, systemClock } from "../base/clock.ts"
import type { Json, JsonObject } from "../base/json.ts"
import { exitCode } from "./command.ts"
import type { Command, CommandCall } from "./command.ts"
import { commonFlags } from "./common-flags.ts"
import { balancerFlags, findBalancers, noBalancer } from "./find-balancer.ts"
import { figuresOf } from "./top-figures.ts"
import { topFrame } from "./top-frame.ts"
import type { ShownBalancer } from "./top-frame.ts"
import { Screen } from "./top-screen.ts"

export const topCommand: Command = {
  name: "top",
  summary: "Shows the running balancers as a table that lives: apps, targets, rates, failures.",
  usage: "[flags]",
  words: [0, 0],
  flags: {
    every: { kind: "text", value: "TIME", summary: "Looks so often", default: "1s" },
    once: { kind: "switch", summary: "Looks once, after one such time, and ends" },
    ...balancerFlags,
    ...commonFlags,
  },
  notes: ["q, Escape or Ctrl+C ends it. Rates are those of the last --every; a wider terminal shows more columns."],
  examples: [
    ["rdv top", "until q"],
    ["rdv top --once --every 10s", "the rates of ten seconds"],
    ["rdv top --json", "a JSON line each second"],
  ],
  run,
}

/** Shorter, and looking would be what one sees. */
const leastEveryMs = 100

async function run(call: CommandCall): Promise<number> {
  const everyMs = call.flags.durationMs("every", leastEveryMs) as number
  const watch = new Watch(call)
  await watch.look()
  if (watch.shown.length === 0) throw noBalancer()
  if (call.flags.on("once")) {
    if (!(await waited(everyMs, call.stopping))) return exitCode.interrupted
    await watch.look()
    tell(call, watch.shown)
    return exitCode.ok
  }
  await (call.output.interactive ? live(call, watch, everyMs) : lines(call, watch, everyMs))
  return exitCode.ok
}

/** Looks at all balancers, and remembers what they said the last time. */
class Watch {
  readonly #call: CommandCall
  shown: readonly ShownBalancer[] = []

  constructor(call: CommandCall) {
    this.#call = call
  }

  async look(): Promise<void> {
    const found = await findBalancers(this.#call)
    const last = new Map(this.shown.map(({ label, before, now }) => [label, now ?? before]))
    this.shown = await Promise.all(
      found.map(async ({ label, client }): Promise<ShownBalancer> => {
        // What does not answer at the first look is told as an error, later as a state.
        const now = await client.snapshot().catch((error: unknown) => {
          if (!last.has(label)) throw error
          return undefined
        })
        return { label, before: last.get(label), now }
      }),
    )
  }
}

async function lines(call: CommandCall, watch: Watch, everyMs: number): Promise<void> {
  while (await waited(everyMs, call.stopping)) {
    await watch.look()
    tell(call, watch.shown)
    call.output.line()
  }
}

async function live({ stopping, output }: CommandCall, watch: Watch, everyMs: number): Promise<void> {
  const quit = new AbortController()
  const screen = new Screen({
    stdin: process.stdin,
    stdout: process.stdout,
    onKey: (key) => {
      // In raw mode the terminal makes no signal of Ctrl+C.
      if (["q", "Q", "\u0003", "\u001b"].includes(key)) quit.abort()
    },
    onResize: () => draw(),
  })
  const draw = () => {
    const title = `rdv top  ${new Date().toLocaleTimeString("en-GB")}  q ends`
    const { columns, rows } = screen
    screen.draw(topFrame(watch.shown, { columns, rows, title, paint: (style, text) => output.paint(style, text) }))
  }
  const ended = AbortSignal.any([stopping, quit.signal])
  try {
    do {
      draw()
      if (!(await waited(everyMs, ended))) break
      await watch.look()
    } while (!ended.aborted)
  } finally {
    screen.close()
  }
}

/** False when it shall end. */
async function waited(ms: number, ended: AbortSignal): Promise<boolean> {
  try {
    await delay(systemClock, ms, ended)
    return true
  } catch {
    return false
  }
}

function tell({ output }: CommandCall, shown: readonly ShownBalancer[]): void {
  output.record({ balancers: shown.map(recordOf) })
  const title = `rdv top  ${new Date().toLocaleTimeString("en-GB")}`
  const paint = output.paint.bind(output)
  for (const line of topFrame(shown, { columns: output.columns, title, paint })) output.line(line)
}

function recordOf({ label, before, now }: ShownBalancer): JsonObject {
  if (now === undefined) return { label, error: "it does not answer" }
  const apps = figuresOf(before, now).map(({ app, rates, connect, targets }) => ({
    name: app.name,
    perSecond: { ...rates },
    connectMs: connect === undefined ? null : { ...connect },
    targets: targets.map(({ target, rates: each }) => ({ name: target.name, perSecond: { ...each } })),
  }))
  return { label, rates: apps as readonly Json[], state: now as unknown as Json }
}
