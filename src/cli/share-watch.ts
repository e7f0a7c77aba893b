/** Looks at a swarm and takes no part in it: `rdv share status CODE`. */

import { base64url } from "../base/bytes.ts"
import { systemClock } from "../base/clock.ts"
import type { Log } from "../base/log.ts"
import type { SwarmKeys } from "../capabilities/share/code/swarm-keys.ts"
import type { RelayAccess } from "../capabilities/share/peer/relay-access.ts"
import { RelayLine } from "../capabilities/share/peer/relay-line.ts"
import type { SwarmPicture } from "../capabilities/share/protocol/control.ts"
import { inWords } from "../share-refusals.ts"

export interface SwarmWatchOptions {
  readonly access: RelayAccess
  readonly swarm: string
  readonly keys: SwarmKeys
  readonly log: Log
  readonly onPicture: (picture: SwarmPicture) => void
}

export interface SwarmWatch {
  /** Settles when there is nothing more to see: rejects with the relay's reason. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

export function watchSwarm({ access, swarm, keys, log, onPicture }: SwarmWatchOptions): SwarmWatch {
  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => undefined)
  const line = new RelayLine({
    access,
    clock: systemClock,
    log,
    opening: () => ({ header: { do: "watch", swarm, access: base64url(keys.access) } }),
    events: {
      message: (message) => {
        if (message.do === "swarm") onPicture(message.picture)
      },
      table: () => undefined,
      clear: () => undefined,
      down: () => undefined,
      ended: (error) => {
        if (error === undefined) ended.resolve()
        else ended.reject(inWords(error, swarm))
      },
    },
  })
  line.start()
  return {
    ended: ended.promise,
    async stop() {
      await line.stop()
      ended.resolve()
    },
  }
}
