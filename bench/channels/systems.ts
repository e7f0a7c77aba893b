/** What is compared: floors without a broker, rdv by its ways in, and brokers. */

import { existsSync } from "node:fs"
import { join } from "node:path"
import type { Children } from "../children.ts"
import { untilListens } from "../balance/proxies.ts"
import { freePort } from "../origin.ts"
import { found, startNats, startRabbit, startRedis } from "./brokers.ts"
import type { Broker } from "./brokers.ts"
import { startRdv } from "./rdv-server.ts"
import type { Place } from "./party/adapter.ts"

export interface Running {
  readonly place: Place
  /** Of the process in the middle; undefined: there is none. */
  readonly pid: number | undefined
  stop(): Promise<void>
}

export interface System {
  readonly name: string
  readonly note: string
  /** `party/adapters.ts` */
  readonly adapter: string
  /** What a sender knows when a message is confirmed. */
  readonly proof: string
  /** The same for the streaming form; undefined: it has none. */
  readonly pourProof: string | undefined
  /** Undefined leaves it out when the consumer is stuck: its senders wait for the consumer's own answer anyway. */
  readonly stall: string | undefined
  readonly from: "npm" | undefined
  /** Slow to start: one process for the whole run, but for what a stuck consumer does to it. */
  readonly isKept: boolean
  /** Undefined: it can run here. */
  missing(): string | undefined
  start(children: Children): Promise<Running>
}

const hop = join(import.meta.dirname, "party", "hop.ts")

export const floor = "two hops"

export const systems: readonly System[] = [
  {
    ...own("direct", "framesDirect", "frames on a bare socket from producer to consumer, nobody between"),
    async start() {
      return { place: { host: "127.0.0.1", port: await freePort() }, pid: undefined, stop: async () => undefined }
    },
  },
  {
    ...own(
      floor,
      "framesRelayed",
      "the same through a process that passes bytes on and knows nothing: a broker's floor",
    ),
    async start(children) {
      const port = await freePort()
      const child = children.node("hop", [hop, String(port)])
      await untilListens(child, port)
      return { place: { host: "127.0.0.1", port }, pid: child.pid, stop: () => child.stop() }
    },
  },
  {
    ...own("two hops unix", "framesRelayed", "the same over unix sockets"),
    async start(children) {
      const path = join(children.folder(), "hop.sock")
      const child = children.node("hop", [hop, path])
      await child.until(/listening/)
      return { place: { path }, pid: child.pid, stop: () => child.stop() }
    },
  },
  {
    ...own("rdv", "native", "rdv's own client over TCP"),
    stall: "receiver has it",
    start: (children) => startRdv(children, "tcp"),
  },
  {
    ...own("rdv unix", "native", "rdv's own client over a unix socket"),
    start: (children) => startRdv(children, "unix"),
  },
  {
    ...own("rdv 9p", "ninepSeen", "files over TCP, delivered when the receiver has it (the default)"),
    stall: "receiver has it",
    start: (children) => startRdv(children, "tcp"),
  },
  {
    ...own("rdv 9p matched", "ninepMatched", "files over TCP, delivered when a receiver was found"),
    proof: "receiver found",
    pourProof: "receiver found",
    start: (children) => startRdv(children, "tcp"),
  },
  broker("nats", "natsCore", "nats-server", startNats, {
    note: "request-reply; streaming is plain publish, a flush each 1,000",
    proof: "receiver answered",
    pourProof: "nothing",
    stall: "publish and flush",
  }),
  broker("jetstream", "natsJetStream", "nats-server", startNats, {
    note: "work queue in memory, consumer acknowledges each message",
    proof: "stored",
    pourProof: "stored",
    stall: "PubAck",
  }),
  broker("redis list", "redisList", "redis-server", startRedis, {
    note: "RPUSH, BLMPOP, and a list of replies; streaming is 64 values each RPUSH",
    proof: "receiver answered",
    pourProof: "stored",
    stall: "RPUSH",
  }),
  broker("redis stream", "redisStream", "redis-server", startRedis, {
    note: "XADD, XREADGROUP, XACK and XDEL",
    proof: "stored",
    pourProof: "stored",
    stall: "XADD",
  }),
  broker("rabbitmq rpc", "rabbitRpc", "rabbitmq-server", startRabbit, {
    note: "transient queue, the consumer answers by direct reply-to",
    proof: "receiver answered",
    pourProof: undefined,
    stall: undefined,
  }),
  broker("rabbitmq", "rabbitConfirm", "rabbitmq-server", startRabbit, {
    note: "transient queue, publisher confirms, consumer acknowledges each message",
    proof: "queued",
    pourProof: "queued",
    stall: "publisher confirm",
  }),
]

function own(
  name: string,
  adapter: string,
  note: string,
): Pick<System, "name" | "note" | "adapter" | "proof" | "pourProof" | "stall" | "from" | "isKept" | "missing"> {
  return {
    name,
    note,
    adapter,
    proof: "receiver has it",
    pourProof: "receiver has it",
    stall: undefined,
    from: undefined,
    isKept: false,
    missing: () => undefined,
  }
}

function broker(
  name: string,
  adapter: string,
  program: string,
  start: (children: Children) => Promise<Broker>,
  facts: Pick<System, "note" | "proof" | "pourProof" | "stall">,
): System {
  return {
    name,
    adapter,
    ...facts,
    from: "npm",
    isKept: program === "rabbitmq-server",
    missing: () =>
      found(program) === undefined || !existsSync(found(program) ?? "") ? `${program} is not installed` : undefined,
    async start(children) {
      const { child, port } = await start(children)
      return { place: { host: "127.0.0.1", port }, pid: child.pid, stop: () => child.stop() }
    },
  }
}
