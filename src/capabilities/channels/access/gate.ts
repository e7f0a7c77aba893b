/**
 * Who may attach, and as whom. A connection proves something (a session's token, a client certificate, or that it comes
 * from this machine); within it the client's kernel asserts which of its users asks. Tokens bound what the connection may
 * do; permission bits hold between the users that it asserts.
 */

import { RdvError } from "../../../base/error.ts"
import { allowsPath, leadsToAllowed } from "../../../base/path-rights.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { AttachRequest, AttachedUser } from "../../../ninep/tree.ts"
import type { Identify, Identity } from "../files/identity.ts"
import { readAttachName } from "./attach-name.ts"

/** What is known of a connection before anybody attaches over it. */
export interface ConnectionFacts {
  /** For logs, and for the count of failed tokens. */
  readonly peer: string
  /** From this machine: a unix socket or the loopback interface. */
  readonly isLocal: boolean
  /** It proved who it is: by a session's token or by a client certificate. */
  readonly owner?: Owner | undefined
}

export interface Owner {
  /** Undefined for a session that needs no token here. */
  readonly name: string | undefined
  /** As in `base/path-rights.ts`; undefined: everything is allowed. */
  readonly rules: readonly string[] | undefined
}

export interface GateOptions {
  /** Whoever comes needs no token. */
  readonly open: boolean
  /** Not even those of this machine come in without one. */
  readonly strict: boolean
  /** The owner of a token. Throws `unauthorized`, `rate_limited`. */
  readonly verify: (token: string, peer: string) => Owner
  /** Whether a token that was verified still is; cheap, for a look each second. */
  readonly isValid: (token: string) => boolean
  /** Asserted uid or gid → ours. */
  readonly mapUid?: (uid: number) => number
  readonly mapGid?: (gid: number) => number
}

/** Linux's overflow id: whoever has no number here. */
const nobody = 65_534

export class Gate {
  readonly #options: GateOptions

  constructor(options: GateOptions) {
    this.#options = options
  }

  /** For the attaches of one connection. `onAttach` hears of each that is let in, and which token it lives on. */
  identify(facts: ConnectionFacts, onAttach?: (token: string | undefined) => void): Identify {
    return (request) => this.#attach(facts, request, onAttach)
  }

  isValid(token: string): boolean {
    return this.#options.isValid(token)
  }

  /** For a session's native streams, which have no user of a kernel behind them. */
  identityOf(owner: Owner): Identity {
    return this.#identity({ name: owner.name ?? "anonymous", uid: undefined }, owner, "/")
  }

  #attach(
    facts: ConnectionFacts,
    { user, aname }: AttachRequest,
    onAttach?: (token: string | undefined) => void,
  ): Identity {
    try {
      const { token, path } = readAttachName(aname)
      const owner = this.#owner(facts, token)
      onAttach?.(token)
      return this.#identity(user, owner, path)
    } catch (error) {
      if (error instanceof RdvError) throw new NinepError("EACCES", error.message)
      throw error
    }
  }

  #owner(facts: ConnectionFacts, token: string | undefined): Owner {
    if (token !== undefined) return this.#options.verify(token, facts.peer)
    if (facts.owner !== undefined) return facts.owner
    const { open, strict } = this.#options
    if (open || (facts.isLocal && !strict)) return { name: undefined, rules: undefined }
    throw new RdvError("unauthorized", "An attach from elsewhere needs a token in its attach name")
  }

  #identity({ name, uid: asserted }: AttachedUser, { name: owner, rules }: Owner, prefix: string): Identity {
    const { mapUid = same, mapGid = same } = this.#options
    const uid = asserted === undefined ? nobody : mapUid(asserted)
    // Linux names the user by number alone, and its group not at all: uid and gid are taken for the same, as in most homes.
    const gid = asserted === undefined ? nobody : mapGid(asserted)
    return {
      name: owner ?? (name === "" ? String(uid) : name),
      uid,
      gid,
      groups: [],
      // 9P2000 knows names alone, and native clients no users: what their token allows is all that bounds them.
      admin: asserted === undefined || uid === 0,
      prefix,
      mayReceive: (path) => allowsPath(rules, path, "receive"),
      maySend: (path) => allowsPath(rules, path, "send"),
      maySee: (path) => leadsToAllowed(rules, path),
    }
  }
}

function same(id: number): number {
  return id
}
