/** Puts a joined connection under the limits of bandwidth that hold for it. */

import type { Joint } from "../../../sockets/joint.ts"
import type { App } from "../engine/app.ts"
import type { Flow } from "../bandwidth/shaper.ts"
import type { Arrival } from "./arrival.ts"

/** Undefined: nothing limits it. Whoever ends the connection closes the flows. */
export function paceJoint(joint: Joint, app: App, arrival: Arrival): Flow[] | undefined {
  const { up, down } = joint
  const flows = app.openFlows(arrival, { up: () => up.resume(), down: () => down.resume() })
  if (flows === undefined) return undefined
  up.meter = flows.up
  down.meter = flows.down
  if (flows.down !== undefined) down.from.reader?.limitTo(flows.down.piece)
  return [flows.up, flows.down].filter((flow) => flow !== undefined)
}
