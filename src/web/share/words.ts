/** What goes wrong, in words for people who have a page in front of them and no manual. */

import type { RdvError } from "../../base/error.ts"
import type { Problem } from "./messages.ts"

/** Receiving: `asked` tells that a password was given. */
export function receiveProblem(error: RdvError, asked: boolean): Problem {
  switch (error.code) {
    case "unauthorized":
    case "forbidden":
      return {
        title: asked
          ? "The password is wrong, or the share has ended"
          : "The relay knows no share that this link opens",
        mend: asked
          ? "Type it again; the sender knows it."
          : "It has ended, a letter of the link is wrong, or the sender set a password: type it here.",
        asks: "password",
      }
    case "usage":
      return { title: error.message, mend: sentence(error.mend ?? "ask the sender for the link again") }
    case "not_found":
    case "no_route":
      return {
        title: "There is no such share",
        mend: "It has ended, or a digit of its number is wrong. Ask the sender.",
        asks: "again",
      }
    case "expired":
    case "removed":
    case "closed":
      return { title: "This share has ended", mend: "Ask the sender to share it again.", asks: "again" }
    case "rate_limited":
      return {
        title: "Too many wrong codes came from your address",
        mend: "Wait a minute, then try again.",
        asks: "again",
      }
    default:
      return generalProblem(error)
  }
}

export function sendProblem(error: RdvError, hasToken: boolean): Problem {
  if (error.code === "unauthorized" || error.code === "forbidden") {
    return {
      title: hasToken ? "The relay does not take this token" : "Sharing at this relay needs a token",
      mend: "Ask whoever runs the relay: rdv token new makes one.",
      asks: "token",
    }
  }
  return generalProblem(error)
}

function generalProblem(error: RdvError): Problem {
  switch (error.code) {
    case "unreachable":
    case "link_lost":
    case "timeout":
      return { title: "The relay does not answer", mend: "Look at your network, then try again.", asks: "again" }
    case "internal":
      return {
        title: `Something unexpected failed: ${error.message}`,
        mend: "Load the page again; what came so far is kept.",
        asks: "again",
      }
    default:
      return { title: error.message, mend: sentence(error.mend ?? "try again"), asks: "again" }
  }
}

/** Why the page cannot do its work in this browser, or undefined. */
export function missingOf(scope: {
  readonly isSecureContext: boolean
  readonly Worker: unknown
  readonly WebSocket: unknown
}): Problem | undefined {
  if (!scope.isSecureContext) {
    return {
      title: "This page came without TLS, and browsers neither encrypt nor store anything there",
      mend: "Open the link with https:// in front, or run rdv get with the same link.",
    }
  }
  if (scope.Worker === undefined || scope.WebSocket === undefined || Promise.withResolvers === undefined) {
    return { title: "This browser is too old for the page", mend: "Update it, or run rdv get with the same link." }
  }
  return undefined
}

function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`
}
