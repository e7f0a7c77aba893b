/** `node test/kit/serve-ram-tree.ts PORT [HOST]`: serves the sample tree over 9P until it is stopped. */

import { listenNinep } from "./ninep-listener.ts"
import { sampleTree } from "./ram-tree.ts"

const [port = "5640", host = "127.0.0.1"] = process.argv.slice(2)
const report =
  (level: string) =>
  (event: string, fields = {}) =>
    console.error(level, event, fields)
const log = {
  debug: report("debug"),
  info: report("info"),
  warn: report("warn"),
  error: report("error"),
  with: () => log,
}
const listener = await listenNinep(sampleTree(), { port: Number(port), host, log })
console.log(`listening on ${host}:${listener.port}`)
