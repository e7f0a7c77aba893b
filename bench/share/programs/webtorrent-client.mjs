/** One peer: `webtorrent-client.mjs MODULES seed FILE FOLDER` (with the tracker), `… get TORRENT FOLDER`. */

import { writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const [modules, role, what, folder] = process.argv.slice(2)
const load = (path) => import(pathToFileURL(createRequire(join(modules, "index.js")).resolve(path)).href)
const { default: WebTorrent } = await load("webtorrent")
const client = new WebTorrent({ dht: false, lsd: false, utp: false, natUpnp: false, natPmp: false, maxConns: 200 })
client.on("error", (error) => {
  console.error(error)
  process.exit(1)
})
if (role === "seed") {
  const { Server } = await load("bittorrent-tracker")
  const tracker = new Server({ udp: false, ws: false, interval: 5_000 })
  await new Promise((resolve) => tracker.listen(0, "127.0.0.1", resolve))
  const announce = [`http://127.0.0.1:${tracker.http.address().port}/announce`]
  client.seed(what, { announce, pieceLength: 262_144, private: true }, (torrent) => {
    writeFileSync(join(folder, "content.torrent"), torrent.torrentFile)
    setTimeout(() => console.log("seeding"), 1_000)
  })
} else {
  client.add(what, { path: folder }, (torrent) => torrent.on("done", () => console.log("all through")))
}
