/** `rdv load` and `rdv load compare`: from the command line to a run, and from a result to where the user wants it. */

import { closeSync, openSync, writeFileSync, writeSync } from "node:fs"
import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { systemClock } from "../../base/clock.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { readTextFile } from "../../config/text-file.ts"
import { version } from "../../node.ts"
import { agentFlags, connectAgents } from "./agents-command.ts"
import type { Agents } from "./agents-command.ts"
import { findMax } from "./find-max.ts"
import { compare } from "./judge/compare.ts"
import { exitCode as verdictCode } from "./judge/exit-code.ts"
import { parseThreshold } from "./judge/threshold.ts"
import { progressReader } from "./progress-figures.ts"
import type { Collector } from "./record/collector.ts"
import { HdrLog } from "./record/hdr-log.ts"
import type { Interval } from "./record/interval.ts"
import type { Result } from "./record/result.ts"
import { csvSeries } from "./report/csv.ts"
import { comparisonText } from "./report/comparison-text.ts"
import type { NamedResult } from "./report/html/page-data.ts"
import { comparisonPage, reportPage } from "./report/html/page.ts"
import { decodeResult, encodeResult, longestResult } from "./report/json.ts"
import { perSecond } from "./report/numbers.ts"
import { ProgressDrawer } from "./report/progress-drawer.ts"
import { serveMetrics } from "./report/prometheus.ts"
import { textReport } from "./report/text.ts"
import { runScenario } from "./run.ts"
import { runningTotals } from "./running-totals.ts"
import { readScenario } from "./scenario/read-scenario.ts"
import { scenarioFlags } from "./scenario/flags.ts"
import type { Scenario } from "./scenario/scenario.ts"

const outputFlags = {
  html: { kind: "text", value: "FILE", summary: "Writes a page with graphs that needs nothing else" },
  csv: { kind: "text", value: "FILE", summary: "Writes a line for each second" },
  hdr: { kind: "text", value: "FILE", summary: "Writes a log of histograms that the HdrHistogram tools read" },
} as const

export const loadCommand: Command = {
  name: "load",
  summary: "Measures how a service bears load, and says when not to believe it.",
  usage: "TARGET|FILE [N] [flags]",
  words: [1, 64],
  flags: {
    ...scenarioFlags,
    workers: { kind: "text", value: "N", summary: "Threads that share the load", default: "1" },
    "find-max": {
      kind: "text",
      value: "THRESHOLD",
      summary: "Searches the highest rate that holds it: runs of --duration (default 5s), from --rate (default 100) on",
    },
    ...outputFlags,
    prometheus: { kind: "text", value: "PORT", summary: "Serves the running figures on http://127.0.0.1:PORT/metrics" },
    quiet: { kind: "switch", summary: "Says nothing while it runs" },
    ...agentFlags,
    ...commonFlags,
  },
  notes: [
    "TARGET is tcp://, tls://, http://, https://, ws://, wss:// HOST:PORT, or unix:/path; several are loaded alike.",
    "FILE is a scenario (YAML), or a balancer's JSON with Apps: then one connection to each port, N messages each.",
    "Without --rate each connection waits for its answer (closed model); with it messages start when the plan says",
    "(open model), and latency counts from that instant. Shapes: constant 100 for 10s · ramp 0..1000 for 30s ·",
    "step 100 by 50 every 5s until 500 for 1m · sine 500+-200 every 10s for 1m · sawtooth 0..100 every 5s for 30s ·",
    "spike 100 to 1000 every 10s width 1s for 1m · replay FILE.csv",
    "Exit codes: 0 held, 99 a threshold not held, 2 usage, 3 target unreachable, 4 the generator was overloaded.",
  ],
  examples: [
    ["rdv load http://localhost:3000/ --rate 500 --duration 30s", "500 requests/s, whether or not answers come"],
    ["rdv load tcp://localhost:7000 --connections 64", "64 connections, as fast as the service answers"],
    ["rdv load config.json 50", "one connection to each port of each app, 50 messages each"],
    ["rdv load http://localhost:3000/ --rate 200 --fail 'p99<20ms' --fail 'errors<0.1%'", "exits with 99 if not held"],
    ["rdv load http://localhost:3000/ --find-max 'p99<20ms'", "the highest rate that holds it"],
    ["rdv load tcp://shop.test:7000 --rate 9000 --relay example.test --agents lab1,lab2", "from two other machines"],
    ["rdv load http://localhost:3000/ --phase 'ramp 0..2000 for 1m' --html report.html", "with graphs"],
  ],
  run: async (call) => {
    const agents = await connectAgents(call)
    try {
      const code = await (call.flags.has("find-max") ? search(call, agents) : runOnce(call, agents))
      // What held was not the load that was asked for.
      return code === exitCode.ok && agents?.lost === true ? exitCode.failure : code
    } finally {
      await agents?.stop()
    }
  },
}

export const compareCommand: Command = {
  name: "load compare",
  summary: "Shows what changed between two load tests, and how sure that is.",
  usage: "A.json[,A2.json…] B.json[,B2.json…] [flags]",
  words: [2, 2],
  flags: { html: { ...outputFlags.html, summary: "Writes a page with both over each other" }, ...commonFlags },
  notes: ["Files are what rdv load --json printed. Three runs a side, separated by commas, are the least that proves."],
  examples: [
    ["rdv load compare before.json after.json", "two runs"],
    ["rdv load compare a1.json,a2.json,a3.json b1.json,b2.json,b3.json", "two groups of runs, with a rank test"],
  ],
  run: async ({ words, flags, output }) => {
    const [a, b] = [readResults(words[0] as string), readResults(words[1] as string)]
    const comparison = compare(resultsOf(a), resultsOf(b))
    output.record(comparison as unknown as JsonObject)
    for (const line of comparisonText(comparison, [words[0] as string, words[1] as string], {
      columns: output.columns,
    }))
      output.line(line)
    const file = flags.text("html")
    if (file !== undefined) write(file, comparisonPage({ a, b, comparison }))
    return exitCode.ok
  },
}

/** Files of one side, with commas between. */
function readResults(word: string): readonly NamedResult[] {
  const names = word.split(",").filter((name) => name !== "")
  if (names.length === 0) throw new RdvError("usage", "A side of the comparison is empty", { mend: "name a file" })
  return names.map((name) => ({ name, result: decodeResult(readTextFile(name, longestResult), name) }))
}

function resultsOf(named: readonly NamedResult[]): readonly Result[] {
  return named.map(({ result }) => result)
}

async function runOnce(call: CommandCall, agents: Agents | undefined): Promise<number> {
  const scenario = readScenario(call.words, call.flags)
  const result = await observed(call, scenario, agents)
  report(call, result)
  return verdictCode(result)
}

async function search(call: CommandCall, agents: Agents | undefined): Promise<number> {
  const { flags, output } = call
  const threshold = flags.text("find-max") as string
  const scenario = readScenario(call.words, flags.has("rate") ? flags : withRate(flags))
  parseThreshold(
    threshold,
    scenario.targets.map(({ label }) => label),
  )
  const [first] = scenario.phases
  if (scenario.model.kind !== "open" || first?.shape.kind !== "constant" || scenario.phases.length > 1) {
    throw new RdvError("usage", "--find-max sets the rate itself", {
      mend: "give at most a number to begin with: --rate 500",
    })
  }
  const durationMs = flags.has("duration") ? (scenario.ending.durationMs ?? searchMs) : (first.durationMs ?? searchMs)
  const { knee, best } = await findMax({
    scenario,
    threshold,
    start: first.shape.value,
    durationMs,
    run: (each) => observed(call, each, agents),
    onRun(rate, held, result) {
      const why = result.overloaded ? "not held: the generator was overloaded" : held ? "held" : "not held"
      const measured = result.thresholds.map(({ text, measured: value }) => `${text}: ${value}`).join(", ")
      output.line(`${perSecond(rate).padStart(12)}/s  ${why}  ${measured}`)
    },
    stopping: call.stopping,
  })
  if (knee === undefined) {
    output.note("The search was stopped.")
    return exitCode.interrupted
  }
  output.line()
  if (knee.rate === undefined || best === undefined) {
    output.line(`No rate holds ${threshold}.`)
    return verdict.notHeld
  }
  const sure = knee.confirmed ? "confirmed by further runs" : "not confirmed: further runs did not hold it"
  const above = knee.failedAt === undefined ? "nothing above was tried" : `${perSecond(knee.failedAt)}/s did not hold`
  output.line(
    call.output.paint("bold", `${perSecond(knee.rate)}/s is the highest rate that holds ${threshold}`) +
      `: ${sure}; ${above}.`,
  )
  output.line()
  report(call, best)
  return exitCode.ok
}

/** Of each run of a search, when nothing is said, ms. */
const searchMs = 5000
const verdict = { notHeld: 99 }

/** The flags with a rate to begin a search with. */
function withRate(flags: CommandCall["flags"]): Parameters<typeof readScenario>[1] {
  return {
    has: (name) => name === "rate" || flags.has(name),
    on: (name) => flags.on(name),
    text: (name) => (name === "rate" ? "100" : flags.text(name)),
    values: (name) => flags.values(name),
  }
}

/** A run that is shown while it lasts. */
async function observed(call: CommandCall, scenario: Scenario, agents: Agents | undefined): Promise<Result> {
  const { flags, stopping, output } = call
  const workers = agents?.names.length ?? flags.whole("workers", 1, 256) ?? 1
  const startMs = performance.now()
  const figures = progressReader(scenario)
  let collector: Collector | undefined
  let newest: Interval | undefined
  const drawer = new ProgressDrawer({
    sink: process.stderr,
    clock: systemClock,
    read: () => figures(performance.now() - startMs, collector),
    paint: (style, text) => output.paintNote(style, text),
  })
  const hdr = flags.text("hdr")
  const log = hdr === undefined ? undefined : openLog(hdr, scenario)
  const port = flags.whole("prometheus", 0, 65_535)
  const metrics =
    port === undefined ? undefined : await serveMetrics(() => runningTotals(scenario, collector, newest), { port })
  if (metrics !== undefined) output.note(`figures at ${metrics.url}`)
  if (!flags.on("quiet")) drawer.start()
  try {
    return await runScenario({
      scenario,
      workers,
      ...(agents !== undefined && { startCrew: agents.startCrew }),
      version,
      stopping,
      onInterval(interval) {
        newest = interval
        log?.add(interval)
      },
      onProgress: (present) => (collector = present),
    })
  } finally {
    drawer.stop()
    log?.close()
    await metrics?.close()
  }
}

function openLog(file: string, { model, warmUpMs }: Scenario): { add(interval: Interval): void; close(): void } {
  const descriptor = opened(file)
  const log = new HdrLog(
    { startedAtMs: Date.now(), warmUpMs, model: model.kind },
    (text) => void writeSync(descriptor, text),
  )
  return { add: (interval) => log.add(interval), close: () => closeSync(descriptor) }
}

function report({ words, flags, output }: CommandCall, result: Result): void {
  const compact = words.length === 2 && /^\d+$/.test(words[1] as string)
  const options = {
    columns: output.columns,
    paint: (style: Parameters<typeof output.paint>[0], text: string) => output.paint(style, text),
    compact,
  }
  output.record(JSON.parse(encodeResult(result)) as JsonObject)
  for (const line of textReport(result, options)) output.line(line)
  const [html, csv] = [flags.text("html"), flags.text("csv")]
  if (csv !== undefined) write(csv, csvSeries(result))
  if (html !== undefined) write(html, reportPage(result))
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (error) {
    throw cannotWrite(file, error)
  }
}

function opened(file: string): number {
  try {
    return openSync(file, "w")
  } catch (error) {
    throw cannotWrite(file, error)
  }
}

function cannotWrite(file: string, error: unknown): RdvError {
  const { code = "" } = error as NodeJS.ErrnoException
  return new RdvError("usage", `${file} cannot be written (${code})`, {
    mend: "name a file in a folder that is yours",
    cause: error,
  })
}
