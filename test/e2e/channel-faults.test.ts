/**
 * Random programs of native and 9P clients against one server while their links are cut, silenced and slowed, and while some
 * of them are killed: the laws of channels hold for whoever was told something. RDV_CHAOS_FULL=1 runs longer;
 * RDV_CHAOS_SEED repeats one run.
 */

import assert from "node:assert/strict"
import { resolve } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { SeededRandom } from "../../src/base/random.ts"
import { channels } from "../../src/channels.ts"
import type { Channels } from "../../src/channels.ts"
import { ChannelLedger } from "../kit/channel-ledger.ts"
import type { PartyEvent } from "../kit/channel-ledger.ts"
import { NativeParty, NinepParty } from "../kit/channel-parties.ts"
import type { Party } from "../kit/channel-parties.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import { LineProcess } from "../kit/line-process.ts"
import type { LineEvent } from "../kit/line-process.ts"
import { RunningChannels } from "../kit/running-channels.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const runMs = full ? 8_000 : 2_500
const graceMs = 2_000
const seeds =
  process.env["RDV_CHAOS_SEED"] === undefined
    ? Array.from({ length: full ? 12 : 2 }, () => Math.floor(Math.random() * 2 ** 32))
    : [Number(process.env["RDV_CHAOS_SEED"])]
const paths = ["/a", "/b", "/c"]
const runner = resolve(import.meta.dirname, "../kit/run-channel-party.ts")

for (const seed of seeds) {
  test(`no message is lost, doubled, reordered, or delivered behind a no; seed ${seed}`, { timeout: 90_000 }, (t) =>
    run(t, seed),
  )
}

async function run(t: TestContext, seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const flags = ["--grace", `${graceMs}ms`, "--dead-after", "1s", "--set", "lease=2s"]
  await using server = await RunningChannels.start({
    flags: [...flags, ...paths.flatMap((path) => ["--channel", path])],
  })
  const direct = await channels({ relay: `127.0.0.1:${server.port}` })
  const ledger = new ChannelLedger()
  const networks: ChaosProxy[] = []
  const parties: Party[] = []
  const mortals: Mortal[] = []
  let isOver = false
  try {
    for (let at = 0; at < 6; at++) {
      const network = await chaosProxy({ target: { port: server.port } })
      networks.push(network)
      const options = { port: network.port, seed: seed + at, paths, tell: ledger.hear }
      const dialects = ["9P2000.L", "9P2000.u", "9P2000"] as const
      parties.push(
        at < 3
          ? await NativeParty.start({ ...options, name: `native${at}` })
          : await NinepParty.start({
              ...options,
              name: `9p${at}`,
              dialect: dialects[at - 3] as (typeof dialects)[number],
            }),
      )
    }
    for (const kind of ["native", "9p"] as const) mortals.push(new Mortal(kind, server.port, seed, ledger))
    await Promise.all(mortals.map((mortal) => mortal.ready()))
    const until = performance.now() + runMs
    const goesOn = () => performance.now() < until
    await Promise.all([
      ...networks.map((network, at) => disturb(network, new SeededRandom(seed, 10 + at), goesOn)),
      ...mortals.map((mortal, at) => mortal.dieNowAndThen(new SeededRandom(seed, 20 + at), goesOn)),
      resize(direct, random, goesOn),
    ])
    for (const network of networks) heal(network)
    await within("every send to be settled", Promise.all([...parties, ...mortals].map((party) => party.stopSending())))
    await within("every message to be received", drained(direct))
    await within("every party to stop", Promise.all([...parties, ...mortals].map((party) => party.stop())))
    isOver = true
    t.diagnostic(ledger.summary)
    t.diagnostic(
      `${mortals.reduce((sum, { deaths }) => sum + deaths, 0)} killed, ${networks.reduce((sum, { stats }) => sum + stats.accepted, 0)} connections`,
    )
    // More lost sessions than killed clients: the machine stood still for longer than the grace time.
    const expired = server.command.stderr.split('"code":"expired"').length - 1
    assert.ok(expired <= mortals.reduce((sum, { deaths }) => sum + deaths, 0), `${expired} sessions were lost`)
    assert.deepEqual(ledger.breaches(), [])
    assert.ok(ledger.sent > 100, `${ledger.sent} messages`)
    for (const path of paths) {
      const entry = await direct.stat(path)
      assert.ok(entry.kind === "channel")
      const { least, most } = ledger.receipts(path)
      const { delivered } = entry.counts
      assert.ok(least <= delivered && delivered <= most, `${path}: ${least} <= ${delivered} delivered <= ${most}`)
    }
  } finally {
    if (!isOver) {
      t.diagnostic(ledger.summary)
      for (const breach of ledger.breaches().slice(0, 20)) t.diagnostic(breach)
    }
    await Promise.all(
      [...parties, ...mortals].map((party) => Promise.race([party.stop().catch(() => undefined), sleep(3_000)])),
    )
    await Promise.all(mortals.map((mortal) => mortal.kill()))
    await direct.close()
    await Promise.all(networks.map((network) => network.close()))
  }
}

async function disturb(network: ChaosProxy, random: SeededRandom, goesOn: () => boolean): Promise<void> {
  const below = (count: number) => Math.floor(random.fraction() * count)
  while (goesOn()) {
    await sleep(20 + below(150))
    switch (below(5)) {
      case 0:
        network.cutAll("rst")
        break
      case 1:
        network.cutAll("fin")
        break
      case 2:
        network.blackHole(true, { holdNew: below(2) === 0 })
        await sleep(below(200))
        // What was in the hole comes out, or is gone.
        if (below(2) === 0) network.cutAll("rst")
        network.blackHole(false)
        break
      case 3:
        network.delayMs = below(15)
        break
      default:
        network.bytesPerSecond = below(3) === 0 ? 200_000 : Infinity
    }
  }
}

function heal(network: ChaosProxy): void {
  network.blackHole(false)
  network.delayMs = 0
  network.bytesPerSecond = Infinity
}

async function resize(client: Channels, random: SeededRandom, goesOn: () => boolean): Promise<void> {
  const below = (count: number) => Math.floor(random.fraction() * count)
  while (goesOn()) {
    await sleep(below(100))
    await client.set(paths[below(paths.length)] as string, { size: below(3) === 0 ? 0 : below(12) })
  }
}

/** Nothing waits and nothing is under way, and so it stays. */
async function drained(client: Channels): Promise<void> {
  for (let calm = 0; calm < 3; await sleep(20)) {
    const entries = await Promise.all(paths.map((path) => client.stat(path)))
    const busy = entries.some(
      (entry) =>
        entry.kind === "channel" && entry.counts.buffered + entry.counts.waitingSenders + entry.counts.underWay > 0,
    )
    calm = busy ? 0 : calm + 1
  }
}

function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = sleep(20_000, undefined, { ref: false }).then(() => assert.fail(`Not within 20 s: ${what}`))
  return Promise.race([promise, late])
}

/** A party that is a process, is killed now and then, and comes back as another one. */
class Mortal implements Party {
  deaths = 0
  readonly #kind: "native" | "9p"
  readonly #port: number
  readonly #seed: number
  readonly #ledger: ChannelLedger
  #process: LineProcess

  constructor(kind: "native" | "9p", port: number, seed: number, ledger: ChannelLedger) {
    this.#kind = kind
    this.#port = port
    this.#seed = seed
    this.#ledger = ledger
    this.#process = this.#start()
  }

  async ready(): Promise<void> {
    await this.#process.event("ready")
  }

  async dieNowAndThen(random: SeededRandom, goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      await sleep(100 + random.fraction() * 600)
      await this.kill()
      this.deaths++
      this.#process = this.#start()
      await this.ready()
    }
  }

  async kill(): Promise<void> {
    this.#process.signal("SIGKILL")
    await this.#process.ended
  }

  async stopSending(): Promise<void> {
    this.#process.say("stop sending")
    await this.#process.event("done")
  }

  async stop(): Promise<void> {
    this.#process.say("stop")
    await this.#process.event("stopped")
  }

  #start(): LineProcess {
    const options = {
      kind: this.#kind,
      name: `mortal-${this.#kind}-${this.deaths}`,
      port: this.#port,
      seed: this.#seed + this.deaths,
      paths,
    }
    return new LineProcess(process.execPath, [runner, JSON.stringify(options)], (event: LineEvent) =>
      this.#ledger.hear(event as unknown as PartyEvent),
    )
  }
}
