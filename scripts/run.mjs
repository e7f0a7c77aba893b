/**
 * Runs a program of the checkout with the pinned Node as if it had been called itself: same terminal, same signals,
 * same exit code. As a command it is `rdv` from source, for systems without a POSIX shell.
 */

import { spawn } from "node:child_process"
import { realpathSync } from "node:fs"
import { constants } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { failPlainly, root, setUp } from "./setup.mjs"

/** Where the command line starts. */
export const mainFile = join(root, "src", "cli", "main.ts")

/** Starts `node script args`, ends this process with its exit code. */
export function become(node, script, args, cwd = process.cwd()) {
  const child = spawn(node, [script, ...args], { stdio: "inherit", cwd })
  // A terminal sends Ctrl+C to the child as well as to us, and npm sends it once more; forwarding it would make one
  // key press look like two. Without a terminal only we hear it.
  const terminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY === true)
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal === "SIGTERM" || !terminal) child.kill(signal)
    })
  }
  // npm passes a signal on to the shell between us and itself, and the shell ends without passing it further. What is
  // left of it for us is that our parent is another one.
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    child.kill("SIGTERM")
  }, 200)
  child.on("error", (error) => {
    process.stderr.write(`${node} cannot be started: ${error.message}\n`)
    process.exit(1)
  })
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    become(setUp(), mainFile, process.argv.slice(2))
  } catch (error) {
    failPlainly(error)
  }
}
