/** An event loop in a thread of its own: the other end of `loop-thread.ts`. */

import { parentPort, workerData } from "node:worker_threads"
import { LoopService } from "./loop-service.ts"
import type { LoopTask, ToLoop } from "./messages.ts"

const service = new LoopService(
  workerData as LoopTask,
  (message) => parentPort?.postMessage(message),
  () => parentPort?.close(),
)
parentPort?.on("message", (message: ToLoop) => service.take(message))
