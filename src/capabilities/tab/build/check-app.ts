/**
 * Whether a bundle is an application, found out by loading it aside: a mistake is told when it is made, not when a visitor
 * comes. What cannot be loaded here says nothing: it may need a browser.
 */

import { Worker } from "node:worker_threads"
import { RdvError } from "../../../base/error.ts"

/** Rejects `usage` when it has loaded and there is no function to call. */
export async function checkApp(code: Uint8Array, file: string): Promise<void> {
  if ((await kindOfFetch(code)) !== "missing") return
  throw new RdvError("usage", `${file}:1:1: the application has no fetch function`, {
    mend: "write export default { fetch(request, env) { … } }",
  })
}

async function kindOfFetch(code: Uint8Array): Promise<"there" | "missing" | "unknown"> {
  const worker = new Worker(program, {
    eval: true,
    workerData: `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`,
    stdout: true,
    stderr: true,
    env: {},
  })
  try {
    return await new Promise((resolve) => {
      const late = setTimeout(() => resolve("unknown"), patienceMs)
      const settle = (kind: "there" | "missing" | "unknown") => {
        clearTimeout(late)
        resolve(kind)
      }
      worker.once("message", settle)
      worker.once("error", () => settle("unknown"))
      worker.once("exit", () => settle("unknown"))
    })
  } finally {
    await worker.terminate()
  }
}

const patienceMs = 3000
const program = `
const { parentPort, workerData } = require("node:worker_threads")
import(workerData).then(
  ({ default: app }) => parentPort.postMessage(typeof app?.fetch === "function" ? "there" : "missing"),
  () => parentPort.postMessage("unknown"),
)`
