/** Takes one message, natively or over 9P, and answers nothing. Says `waiting` before and `holding` when it has it. */

import { connect } from "node:net"
import { once } from "node:events"
import { channels } from "../../src/channels.ts"
import { NinepClient } from "../../src/ninep/client.ts"
import { socketBytes } from "./byte-links.ts"

const [kind, host, port, path] = process.argv.slice(2) as [string, string, string, string]
const say = (event: string) => console.log(JSON.stringify({ event }))
if (kind === "native") {
  const client = await channels({ relay: `${host}:${port}` })
  const message = client.channel(path).receive({ ack: true })
  say("waiting")
  await message
} else {
  const socket = connect({ host, port: Number(port) })
  await once(socket, "connect")
  const client = await NinepClient.connect({ link: socketBytes(socket), uid: 0 })
  const file = await client.open(`${path}.d/recv`, { read: true })
  const message = file.read(0)
  say("waiting")
  await message
}
say("holding")
