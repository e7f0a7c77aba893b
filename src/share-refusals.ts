/** What a relay says about a code, in words for the one who typed it. */

import { RdvError } from "./base/error.ts"

/** What this machine itself finds wrong, with its folders or its token, stays as it is. */
export function inWords(error: RdvError, swarm: string): RdvError {
  if (error.origin === "local") return error
  const told = (text: string, mend: string) =>
    new RdvError(error.code, text, { mend, origin: error.origin, cause: error })
  switch (error.code) {
    case "not_found":
      return told(`The relay knows no share ${swarm} now`, "check the digits and the relay, or start the sender")
    case "unauthorized":
      return told(
        `The code does not fit the share ${swarm}, or its password does not`,
        "check the words; --password asks for a password, if it has one",
      )
    case "rate_limited":
      return told("The relay heard too many wrong codes from here", "wait a minute, and check the code")
    case "replaced":
      return told(`Another process took this one's place in the share ${swarm}`, "let only one of them run")
    case "expired":
      return told(`The share ${swarm} has expired`, "ask its sender for a new one")
    case "no_service":
      return told("This relay shares no files", "it is of an older version; use another one")
    default:
      return error
  }
}
