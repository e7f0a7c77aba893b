/** `npm run bench -- NAME …`: one file per benchmark; without a name it lists them. */

import { parseOptions } from "./options.ts"
import type { Options } from "./options.ts"
import { benchBalance } from "./balance/balance.ts"
import { benchChannels } from "./channels/channels.ts"
import { benchFair } from "./fair.ts"
import { benchGenerators } from "./generators.ts"
import { benchIdle } from "./idle.ts"
import { benchLink } from "./link.ts"
import { benchProfile } from "./profile.ts"
import { benchShare } from "./share/share.ts"
import { benchTab } from "./tab/tab.ts"
import { benchTunnel } from "./tunnel.ts"
import { Children } from "./children.ts"

interface Bench {
  readonly summary: string
  /** Unless `--rounds` says otherwise. */
  readonly rounds?: number
  readonly run: (options: Options, children: Children) => Promise<void>
}

const benches: { readonly [name: string]: Bench } = {
  tunnel: {
    summary: "requests, bulk, CPU, memory and fairness: rdv, direct nginx and peers in one run",
    run: benchTunnel,
  },
  fair: { summary: "small requests beside bulk downloads, a slow visitor and a slow service", run: benchFair },
  idle: { summary: "memory of idle visitor connections and of idle sessions", run: benchIdle },
  link: { summary: "links and sessions alone, per transport, with and without checksums", run: benchLink },
  load: { summary: "rdv load beside other load testers: what they generate, and what they say", run: benchGenerators },
  balance: {
    summary: "rdv balance beside HAProxy and nginx stream, by ratios to HAProxy's neighbouring runs",
    rounds: 5,
    run: benchBalance,
  },
  channels: {
    summary: "rdv's channels beside NATS, Redis and RabbitMQ: confirmed messages, a stuck consumer, idle ones",
    rounds: 5,
    run: benchChannels,
  },
  share: {
    summary: "one file to many: rdv beside nginx with curl, a pipe in Node, aria2 and libtorrent; uplinks; multicast",
    run: benchShare,
  },
  tab: {
    summary: "a server in a tab, by Chromium and Firefox, beside the same in Node and a plain server",
    run: benchTab,
  },
  profile: { summary: "where relay and agent spend their time at 64 connections", run: benchProfile },
}

const usage = `npm run bench -- NAME [options]

${Object.entries(benches)
  .map(([name, { summary }]) => `  ${name.padEnd(9)}${summary}`)
  .join("\n")}

  --quick               one round of 1 s each, fewer connections: to see that it works, not to read figures
  --seconds N           length of one measurement (default 2)
  --rounds N            rounds, interleaved over all systems; the median is shown (default 3, balance and channels 5)
  --only a,b            tunnel: of requests, bulk, fair, idle · link: of the transports ·
                        balance: of bulk, ping, churn, idle, load, warm, fair, wake, semantics ·
                        channels: of single, core, window, many, stream, stuck, waiting ·
                        share: of 1, 10, 50, 100, uplinks, hosts, multicast ·
                        tab: of requests, bulk, inserts, page, size
  --systems a,b         of the systems that would run
  --link tcp|tls|unix   between relay and agent (default tcp)
  --peers               fetches the peers that come from npm into a folder for temporary files
  --peer 'NAME=COMMAND' one more system: the command serves {url} (also {host}, {port}) and forwards to {target};
                        balance: {routes} is FROM:TO, ports of loopback, for each of its targets
  --json FILE           all figures, every round
  --write               balance, channels, share, tab: the tables enter docs/benchmarks.md
  --source              runs relay and agent without the command line

Read docs/benchmarks.md before you quote a figure.
`

const [name, ...rest] = process.argv.slice(2)
if (name === undefined || name === "--help" || rest.includes("--help")) process.stdout.write(usage)
else await start(name)

async function start(name: string): Promise<void> {
  const bench = benches[name]
  const children = new Children()
  const quit = (): void => {
    void children.stop().then(() => process.exit(130))
  }
  process.on("SIGINT", quit)
  process.on("SIGTERM", quit)
  try {
    if (bench === undefined) throw new Error(`There is no benchmark "${name}": ${Object.keys(benches).join(", ")}`)
    await bench.run(parseOptions(rest, bench.rounds), children)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  } finally {
    await children.stop()
    process.off("SIGINT", quit)
    process.off("SIGTERM", quit)
  }
}
