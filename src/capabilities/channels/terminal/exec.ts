/** A command for one message. */

import { spawn } from "node:child_process"
import type { Message } from "../native/client/message.ts"

/**
 * Runs it in a shell with the message on its standard input; output and errors are ours. Resolves with its exit code, or the
 * name of the signal that ended it. When `stopping` fires it gets SIGTERM.
 */
export function runForMessage(
  command: string,
  channel: string,
  message: Message,
  stopping: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, {
      shell: true,
      stdio: ["pipe", "inherit", "inherit"],
      env: {
        ...process.env,
        RDV_CHANNEL: channel,
        RDV_MESSAGE_ID: String(message.id),
        RDV_ATTEMPT: String(message.attempt),
      },
    })
    const stop = () => void child.kill("SIGTERM")
    stopping.addEventListener("abort", stop, { once: true })
    // A command need not read its message.
    child.stdin.on("error", () => undefined)
    child.stdin.end(message.bytes)
    child.once("error", (error) => {
      stopping.removeEventListener("abort", stop)
      reject(error)
    })
    child.once("exit", (code, signal) => {
      stopping.removeEventListener("abort", stop)
      resolve(code === null ? String(signal) : String(code))
    })
  })
}
