/** All of them, in the order in which they run. */

import { curlBlake, curlSha } from "./http-systems.ts"
import { nodePipe } from "./node-pipe.ts"
import { rdv, rdvCast } from "./rdv-share.ts"
import type { ShareSystem } from "./system.ts"
import { aria, libtorrent } from "./torrent.ts"
import { webtorrent } from "./webtorrent.ts"

export const systems: readonly ShareSystem[] = [
  curlBlake,
  curlSha,
  nodePipe,
  aria,
  libtorrent,
  webtorrent,
  rdv,
  rdvCast,
]

/** What ours is compared with. */
export const reference: string = curlBlake.name
