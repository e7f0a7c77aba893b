/**
 * The attach name of 9P (attach(5)): which part of the tree, and who asks. Linux puts it into the option `aname`, which
 * other users of that machine can read in its table of mounts.
 *
 *     (empty)            everything
 *     /team              the folder /team as the root
 *     rdv_…              a token
 *     rdv_…/team         both
 */

import { RdvError } from "../../../base/error.ts"

export interface AttachName {
  readonly token: string | undefined
  /** Absolute, without a slash at its end; `/` for everything. */
  readonly path: string
}

/** Throws `usage`. */
export function readAttachName(aname: string): AttachName {
  const slash = aname.indexOf("/")
  const token = slash < 0 ? aname : aname.slice(0, slash)
  const path = slash < 0 ? "/" : aname.slice(slash).replace(/(?<=.)\/+$/, "")
  if (token !== "" && !token.startsWith("rdv_")) {
    throw new RdvError("usage", "The attach name is neither a path nor a token", { mend: "write /path or a token" })
  }
  // Rights are compared with paths as they stand, and another server that is bound there would walk them.
  if (
    path !== "/" &&
    path
      .slice(1)
      .split("/")
      .some((name) => name === "" || name === "." || name === "..")
  ) {
    throw new RdvError("usage", "The path in the attach name has an empty name, . or ..", { mend: "write it out" })
  }
  return { token: token === "" ? undefined : token, path }
}
