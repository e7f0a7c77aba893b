/** `10MB/s` for both directions, or `{up, down}`. */

import { mapForm } from "./form.ts"
import type { Form } from "./form.ts"
import type { Bandwidth } from "./settings.ts"
import { byteRate, isOff, optional } from "./value-forms.ts"

const limit = optional(byteRate)

const ways = mapForm<Bandwidth>({
  up: { key: "up", form: limit, summary: "From client to target" },
  down: { key: "down", form: limit, summary: "From target to client" },
})

export const bandwidth: Form<Bandwidth> = {
  read(value, base) {
    if (value.kind === "map") return ways.read(value, base)
    const both = limit.read(value, undefined)
    return both === undefined && !isOff(value) ? undefined : { up: both, down: both }
  },
  write: (value, base, all) =>
    value.up === value.down
      ? limit.write(value.up, undefined, all)
      : ways.write(value, { ...base, up: undefined, down: undefined }, all),
  schema: { anyOf: [limit.schema, ways.schema] },
  placeholder: "RATE, off, or map of up and down",
}
