/** Redis by ioredis: a list with a list of replies, and a stream with a consumer group. */

import { createRequire } from "node:module"
import { join } from "node:path"
import type { Adapter, Meeting } from "./adapter.ts"
import { fail, pourBySending } from "./adapter.ts"

/** What is used of ioredis. */
type Command = (...args: readonly (string | number | Uint8Array)[]) => Promise<unknown>

type Redis = {
  readonly [command in "rpush" | "blmpopBuffer" | "xadd" | "xgroup" | "xreadgroupBuffer" | "xack" | "xdel"]: Command
}

const group = "bench"
const each = "1"
const pourBatch = 64
const pourBatches = 16

export const redisList: Adapter = {
  async produce(meeting) {
    const redis = connect(meeting)
    const waiting: (() => void)[] = []
    const replies = replyList(meeting.name, meeting.index)
    let own: Buffer | undefined
    /** The first byte tells whom to answer. */
    const addressed = (bytes: Uint8Array): Buffer => {
      own ??= Buffer.from(bytes)
      own[0] = meeting.index
      return own
    }
    listen(connect(meeting), replies, meeting.window, (messages) => {
      for (let at = 0; at < messages.length; at++) waiting.shift()?.()
      return true
    })
    return {
      send(bytes, confirmed) {
        waiting.push(confirmed)
        redis.rpush(meeting.name, addressed(bytes)).catch(fail)
      },
      offer(bytes, taken) {
        redis.rpush(meeting.name, addressed(bytes)).then(taken, fail)
      },
      async pour(bytes, going) {
        const batch = Array.from({ length: pourBatch }, () => addressed(bytes))
        const push = (_: Uint8Array, taken: () => void): void => {
          redis.rpush(meeting.name, ...batch).then(taken, fail)
        }
        return pourBatch * (await pourBySending(push, bytes, going, pourBatches))
      },
    }
  },
  async consume(meeting, hear) {
    const answers = connect(meeting)
    listen(connect(meeting), meeting.name, meeting.window, (messages) => {
      const counts = new Map<number, number>()
      for (const message of messages) {
        if (!hear(message.length)) return false
        const from = message[0] ?? 0
        counts.set(from, (counts.get(from) ?? 0) + 1)
      }
      // Nobody waits for a reply to what was poured.
      if (meeting.window > mostReplied) return true
      for (const [from, count] of counts) {
        answers.rpush(replyList(meeting.name, from), ...Array.from({ length: count }, () => each)).catch(fail)
      }
      return true
    })
  },
}

export const redisStream: Adapter = {
  async produce(meeting) {
    const redis = connect(meeting)
    const send = (bytes: Uint8Array, confirmed: () => void): void => {
      redis.xadd(meeting.name, "*", "m", bytes).then(confirmed, fail)
    }
    return { send, pour: (bytes, going) => pourBySending(send, bytes, going) }
  },
  async consume(meeting, hear) {
    const redis = connect(meeting)
    const answers = connect(meeting)
    if (meeting.index === 0) await redis.xgroup("CREATE", meeting.name, group, "$", "MKSTREAM")
    const read = async (): Promise<void> => {
      for (;;) {
        const told = (await redis.xreadgroupBuffer(
          "GROUP",
          group,
          `c${meeting.index}`,
          "COUNT",
          meeting.window,
          "BLOCK",
          0,
          "STREAMS",
          meeting.name,
          ">",
        )) as [Buffer, [Buffer, Buffer[]][]][] | null
        const entries = told?.[0]?.[1] ?? []
        for (const [, fields] of entries) if (!hear(fields[1]?.length ?? 0)) return
        const ids = entries.map(([id]) => id)
        answers.xack(meeting.name, group, ...ids).catch(fail)
        // What is acknowledged stays in a stream until somebody removes it.
        answers.xdel(meeting.name, ...ids).catch(fail)
      }
    }
    read().catch(fail)
  },
}

/** Above this window the consumer is one of the streaming form. */
const mostReplied = 512

function replyList(name: string, index: number): string {
  return `${name}:${index}`
}

/** Takes up to `window` messages at a time off a list, until `hear` says no. */
function listen(redis: Redis, list: string, window: number, hear: (messages: readonly Buffer[]) => boolean): void {
  const read = async (): Promise<void> => {
    for (;;) {
      const told = (await redis.blmpopBuffer(0, 1, list, "LEFT", "COUNT", window)) as [Buffer, Buffer[]] | null
      if (told !== null && !hear(told[1])) return
    }
  }
  read().catch(fail)
}

function connect({ clients, place, isSingle }: Meeting): Redis {
  if (!("port" in place)) throw new Error("Redis listens on TCP")
  const require = createRequire(join(clients, "package.json"))
  const { Redis } = require("ioredis") as { Redis: new (options: object) => Redis }
  return new Redis({ ...place, enableAutoPipelining: !isSingle, lazyConnect: false })
}
