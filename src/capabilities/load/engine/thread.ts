/** A generator in a thread of its own: the other end of `generator-thread.ts`. */

import { parentPort, workerData } from "node:worker_threads"
import { asRdvError } from "../../../base/error.ts"
import { encodeInterval } from "../record/interval-codec.ts"
import { Recorder } from "../record/recorder.ts"
import type { FromThread, ThreadTask, ToThread } from "./generator-thread.ts"
import { Generator } from "./generator.ts"
import { partsOf } from "./parts.ts"

const { scenario, share, version } = workerData as ThreadTask
const tell = (message: FromThread): void => parentPort?.postMessage(message)

try {
  const parts = partsOf(scenario, share.index, version)
  let generator: Generator | undefined
  parentPort?.on("message", (message: ToThread) => {
    if (message.kind === "stop") generator?.stop(message.reason)
    else if (message.kind === "cut") generator?.cut(message.reason)
    else {
      generator = new Generator({
        scenario,
        share,
        recorder: new Recorder(scenario.targets.length, scenario.model.kind),
        parts,
        onInterval: (interval) => tell({ kind: "interval", interval: encodeInterval(interval) }),
      })
      void generator.done.then((reason) => tell({ kind: "done", reason }))
    }
  })
  tell({ kind: "ready" })
} catch (thrown) {
  const { code, message, mend } = asRdvError(thrown)
  tell({ kind: "failed", code, message, mend })
}
