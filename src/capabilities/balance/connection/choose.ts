/** Who gets a connection, as far as pool, breaker and resolver have a say together. */

import type { App } from "../engine/app.ts"
import type { Choice } from "../pool/pool.ts"
import type { Target } from "../target/target.ts"

/** The target has counted one more dial, which its owner has to end. */
export function chooseTarget(app: App, client: string, before: ReadonlySet<Target>): Choice {
  const { pool, breaker } = app
  let tried = before
  let unresolved: Choice | undefined
  for (;;) {
    const choice = pool.choose({ client, tried })
    if (choice.target === undefined) {
      if (unresolved?.target?.begin() === true) return unresolved
      // Targets that only have too many dials under way will take more soon.
      return tried.size > before.size ? { target: undefined, obstacle: "full" } : choice
    }
    if (breaker.admits(choice.target)) {
      // Nobody waits for a resolver while another target can be dialled.
      if (!app.upstream(choice.target).isResolved) unresolved ??= choice
      else if (choice.target.begin()) return choice
    }
    tried = new Set(tried).add(choice.target)
  }
}
