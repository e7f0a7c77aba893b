/** A party as a process of its own, which can be killed at any moment. What it tells goes out as JSON lines. */

import { writeSync } from "node:fs"
import { createInterface } from "node:readline"
import { NativeParty, NinepParty } from "./channel-parties.ts"
import type { PartyOptions } from "./channel-parties.ts"

interface RunOptions extends Omit<PartyOptions, "tell"> {
  readonly kind: "native" | "9p"
}

const { kind, ...options } = JSON.parse(process.argv[2] as string) as RunOptions
// Before the call returns it is in the pipe, whatever happens then.
const say = (event: object) => writeSync(1, `${JSON.stringify(event)}\n`)
const party = await (kind === "native" ? NativeParty : NinepParty).start({ ...options, tell: say, mayDie: true })
say({ event: "ready" })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "stop sending") await party.stopSending()
  if (line === "stop") break
  say({ event: "done", line })
}
await party.stop()
say({ event: "stopped" })
process.exit(0)
