/** The adapters by name. */

import type { Adapter } from "./adapter.ts"
import { framesDirect, framesRelayed } from "./frames.ts"
import { native } from "./native.ts"
import { natsCore, natsJetStream } from "./nats.ts"
import { ninepMatched, ninepSeen } from "./ninep.ts"
import { rabbitConfirm, rabbitRpc } from "./rabbit.ts"
import { redisList, redisStream } from "./redis.ts"

const adapters: { readonly [name: string]: Adapter } = {
  framesDirect,
  framesRelayed,
  native,
  ninepSeen,
  ninepMatched,
  natsCore,
  natsJetStream,
  redisList,
  redisStream,
  rabbitRpc,
  rabbitConfirm,
}

export function adapterNamed(name: string): Adapter {
  const adapter = adapters[name]
  if (adapter === undefined) throw new Error(`No adapter is called ${name}`)
  return adapter
}
