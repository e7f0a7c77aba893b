/** Loaded before a balancer with two event loops: the first attempt to make a third thread fails. */

import { syncBuiltinESMExports } from "node:module"
import threads from "node:worker_threads"

let made = 0
threads.Worker = class extends threads.Worker {
  constructor(...words: ConstructorParameters<typeof threads.Worker>) {
    made++
    if (made === 3) throw new Error("no thread for a test")
    super(...words)
  }
}
syncBuiltinESMExports()
