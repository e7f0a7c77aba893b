/** The last one: reads a line for each frame until there are no more, and reports. Frames may come in any order. */

import { createInterface } from "node:readline"

const seen = new Map()
let twice = 0
for await (const line of createInterface({ input: process.stdin })) {
  const [frame, x, y] = line.split(" ").map(Number)
  if (seen.has(frame)) twice++
  seen.set(frame, [x, y])
}

const frames = [...seen.keys()].sort((a, b) => a - b)
const angles = frames.map((frame) => Math.atan2((seen.get(frame)[1] - 25) / 18, (seen.get(frame)[0] - 40) / 30))
const turned = angles.slice(1).reduce((sum, angle, at) => {
  const step = angle - angles[at]
  return sum + step - 2 * Math.PI * Math.round(step / (2 * Math.PI))
}, 0)
const missing = frames.length === 0 ? 0 : frames.at(-1) - frames.length
console.log(
  `${frames.length} frames, ${missing} missing, ${twice} twice; the spot went round ${(turned / 2 / Math.PI).toFixed(1)} times`,
)
