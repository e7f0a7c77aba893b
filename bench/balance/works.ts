/** What each proxy has to do: bulk, ping-pong, churn, and connections that do nothing. */

import type { Options } from "../options.ts"
import { cpuSeconds, processFamily, proportionalBytes } from "../machine.ts"
import { rdvLoad } from "../testers.ts"
import type { Taken } from "./chain.ts"
import type { RunningProxy } from "./proxies.ts"
import type { Answer, TcpBench } from "./tcp-bench.ts"

export interface Work {
  readonly name: string
  /** What `--only` calls it. */
  readonly part: string
  take(bench: TcpBench, proxy: RunningProxy, options: Options): Promise<Taken>
}

const host = "127.0.0.1"

export const works: readonly Work[] = [bulk("down", 1), bulk("up", 1), bulk("down", 32), bulk("up", 32)].concat(
  [1, 32, 64].map(pingPong),
  churn(),
  idle(),
  byLoad(),
)

function bulk(way: "down" | "up", connections: number): Work {
  return {
    name: `bulk ${way} ${connections}`,
    part: "bulk",
    async take(bench, { ports, pid }, { seconds }) {
      const port = way === "down" ? ports.source : ports.sink
      const answer = await bench.ask(["bulk", way, host, `${port}`, `${connections}`, `${seconds}`], pid, seconds)
      const bytes = of(answer, "bytes")
      return {
        main: "rate",
        figures: { rate: of(answer, "perSecond") / 1e9, ...cpu(answer, pid, bytes / 1e9) },
      }
    },
  }
}

/** Messages of 64 bytes, one under way for each connection. */
function pingPong(connections: number): Work {
  return {
    name: `ping ${connections}`,
    part: "ping",
    async take(bench, { ports, pid }, { seconds }) {
      const answer = await bench.ask(["pp", host, `${ports.echo}`, `${connections}`, "64", `${seconds}`], pid, seconds)
      return {
        main: connections === 1 ? "p50" : "rate",
        figures: {
          rate: of(answer, "perSecond"),
          p50: of(answer, "p50"),
          p99: of(answer, "p99"),
          ...cpu(answer, pid, of(answer, "messages") / 1e6),
        },
      }
    },
  }
}

/** Connect, 64 bytes, echo, end from the target: 32 at a time. */
function churn(): Work {
  return {
    name: "churn",
    part: "churn",
    async take(bench, { ports, pid }, { seconds, quick }) {
      const count = quick ? 3_000 : 10_000 * seconds
      // Not counted: a process that has just started compiles what it runs.
      await bench.ask(["cps", host, `${ports.once}`, "32", "16000"], undefined, 30)
      const answer = await bench.ask(["cps", host, `${ports.once}`, "32", `${count}`], pid, 30)
      if (of(answer, "failures") > 0) throw new Error(`${of(answer, "failures")} of ${count} connections failed`)
      return {
        main: "rate",
        figures: { rate: of(answer, "perSecond"), p99: of(answer, "p99") / 1000, ...cpu(answer, pid, count / 1e6) },
      }
    },
  }
}

/** What a connection costs that does nothing after one message: PSS, without the kernel's buffers. */
function idle(): Work {
  return {
    name: "idle",
    part: "idle",
    async take(bench, { ports, pid }, { quick }) {
      const count = quick ? 500 : 5_000
      if (pid === undefined) return { main: "memory", figures: {} }
      const before = memory(pid)
      const clients = await bench.hold({ host, port: ports.echo }, count)
      await new Promise((resolve) => setTimeout(resolve, quick ? 500 : settleMs))
      const after = memory(pid)
      await clients.stop()
      const open = Number(/"open":(\d+)\}\n$/.exec(clients.output)?.[1])
      if (open !== count) throw new Error(`${count - open} of ${count} idle connections were lost`)
      return { main: "memory", figures: { memory: (after - before) / count / 1024, base: before / 2 ** 20 } }
    },
  }
}

/** The same ping-pong by our own tester, which costs more than any of the proxies. */
function byLoad(): Work {
  return {
    name: "load 32",
    part: "load",
    async take({ children }, { ports, pid }, { seconds }) {
      const tester = rdvLoad({ url: `tcp://${host}:${ports.echo}`, connections: 32, seconds })
      const [program, ...args] = tester.command
      const before = pid === undefined ? 0 : cpuSeconds(pid)
      const output = await children.start(tester.name, program, args).done((seconds + 30) * 1000)
      const used = pid === undefined ? undefined : cpuSeconds(pid) - before
      const { perSecond, p50 = NaN, p99 = NaN } = tester.read(output)
      const each = used === undefined ? {} : { cpu: (used * 1e6) / (perSecond * seconds) }
      return { main: "rate", figures: { rate: perSecond, p50: p50 * 1000, p99: p99 * 1000, ...each } }
    },
  }
}

const settleMs = 2_500

function memory(pid: number): number {
  return processFamily(pid).reduce((sum, each) => sum + proportionalBytes(each), 0)
}

function of(answer: Answer, figure: string): number {
  return answer[figure] ?? NaN
}

function cpu(answer: Answer, pid: number | undefined, units: number): { readonly cpu?: number } {
  return pid === undefined ? {} : { cpu: of(answer, "cpuSeconds") / units }
}
