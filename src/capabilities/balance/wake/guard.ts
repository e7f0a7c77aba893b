/**
 * A shell of a few hundred KiB that stands beside a woken process and ends its group when we are gone without a word: it
 * holds one end of a pipe, which the system closes even after SIGKILL. It asks first and kills later, as we would have.
 * What made itself a group or session of its own (a daemon) is out of its reach.
 */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import type { Log } from "../../../base/log.ts"

/** `$1`: tenths of a second between SIGTERM and SIGKILL. A first line names the group, a second one dismisses. */
const script = `
trap '' HUP INT QUIT TERM
read -r group || exit 0
read -r _ && exit 0
kill -s TERM -- "-$group" || exit 0
left=$1
while [ "$left" -gt 0 ] && kill -s 0 -- "-$group"; do
  sleep 0.1
  left=$((left - 1))
done
kill -s KILL -- "-$group"
`

export interface GuardOptions {
  /** Between SIGTERM and SIGKILL. */
  readonly stopMs: number
  readonly log: Log
}

export class Guard {
  readonly #child: ChildProcess

  /** Starts it; without a shell on this system the log says that nothing is guarded, and all else goes on. */
  constructor({ stopMs, log }: GuardOptions) {
    const child = spawn("/bin/sh", ["-c", script, "guard", String(Math.ceil(stopMs / 100))], {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      stdio: ["pipe", "ignore", "ignore"],
      // A group of its own: neither Ctrl+C nor the end of the group that it guards may end it.
      detached: true,
    })
    child.on("error", (error) => log.warn("wake.unguarded", { reason: error.message }))
    // It may have been killed; then a write finds nobody.
    child.stdin?.on("error", (error) => log.debug("wake.guard_gone", { reason: error.message }))
    child.unref()
    this.#child = child
  }

  /** `group` is the id of the process that leads it. */
  watch(group: number): void {
    this.#child.stdin?.write(`${group}\n`)
  }

  /** Our event loop lives on until it is dismissed: the timers of a stop alone would not see to that. */
  hold(): void {
    this.#child.ref()
  }

  /** The group is gone. */
  dismiss(): void {
    this.#child.stdin?.end("dismissed\n")
  }
}
