/**
 * Several receivers in one process, for tests that kill it: `node run-share-receivers.ts '{"relay":…}'`. Each is looked for
 * again until it has everything, as somebody does who types the same command again. It prints a JSON object per line: `done`,
 * `failed` with what was said, and what everybody waits for, whenever that changes.
 */

import { asRdvError } from "../../src/base/error.ts"
import { parseCode } from "../../src/capabilities/share/code/code.ts"
import { nodeKeys } from "../../src/capabilities/share/node/node-keys.ts"
import { get } from "../../src/share.ts"

export interface ReceiversSettings {
  readonly relay: string
  readonly code: string
  readonly names: readonly string[]
  /** Each has a folder of its name in it. */
  readonly home: string
  readonly direct: boolean
  readonly serveMs: number
}

const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`)

async function receive(name: string, settings: ReceiversSettings, keys: Awaited<ReturnType<typeof nodeKeys>>) {
  const { relay, code, home, direct, serveMs } = settings
  for (;;) {
    const one = await get({
      relay,
      code,
      keys,
      output: `${home}/${name}/`,
      instance: name,
      label: name,
      direct,
      serveMs,
      firstMs: 60_000,
      timeoutMs: 60_000,
      onEvent(event) {
        if (event.kind === "done") say({ event: "done", name, foundBytes: event.foundBytes, via: event.via })
        if (event.kind === "remark") say({ event: "remark", name, text: event.text })
      },
    })
    let told = ""
    const timer = setInterval(() => {
      const { phase, haveBytes, bytes, waitsFor } = one.figures()
      const text = JSON.stringify({ event: "figures", name, phase, haveBytes, bytes, waitsFor })
      if (text !== told) process.stdout.write(`${text}\n`)
      told = text
    }, 300)
    try {
      await one.ended
      return
    } catch (thrown) {
      const { code: why, message } = asRdvError(thrown)
      say({ event: "failed", name, code: why, message })
      if (one.isDone) return
    } finally {
      clearInterval(timer)
      await one.stop()
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

const settings = JSON.parse(process.argv[2] as string) as ReceiversSettings
const keys = await nodeKeys(parseCode(settings.code))
// The test that started us has gone.
process.stdin.on("end", () => process.exit(0)).resume()
process.on("SIGTERM", () => process.exit(0))
await Promise.all(settings.names.map((name) => receive(name, settings, keys)))
say({ event: "all" })
process.exit(0)
