/** How fids come to be: attach(5) and walk(5). */

import { isPromise, andThen } from "./awaited.ts"
import { NinepError } from "./errno.ts"
import { isFolder, nodeOf } from "./fids.ts"
import { NOFID, NONUNAME } from "./message.ts"
import type { Tattach, Twalk } from "./message.ts"
import { checkLength } from "./operation.ts"
import type { Desk, Outcome } from "./operation.ts"
import type { Node, Qid } from "./tree.ts"

export function attach(message: Tattach, desk: Desk): Outcome {
  if (message.afid !== NOFID) throw new NinepError("EBADF", "There is no authentication fid")
  desk.fids.expectFree(message.fid)
  const { nUname } = message
  const uid = nUname === undefined || nUname === NONUNAME ? undefined : nUname
  const root = desk.tree.attach({ user: { name: message.uname, uid }, aname: message.aname })
  return andThen(root, (node) => ({
    answer: { type: "Rattach", qid: node.qid },
    commit: () => setNode(desk, message.fid, node),
  }))
}

export function walk(message: Twalk, desk: Desk): Outcome {
  const { wname, newfid } = message
  const from = desk.fids.known(message.fid)
  const start = nodeOf(from)
  if (newfid !== message.fid) desk.fids.expectFree(newfid)
  // The manual forbids it; Linux now and then clones or walks a folder that it has open.
  if (from.handle !== undefined && (newfid === message.fid || desk.dialect === "9P2000"))
    throw new NinepError("EBUSY", `The fid ${message.fid} is open`)
  return andThen(follow(start, wname, desk), ({ qids, node }) => ({
    answer: { type: "Rwalk", wqid: qids },
    // After a walk that ended early there is no new fid.
    ...(qids.length === wname.length ? { commit: () => setNode(desk, newfid, node) } : {}),
  }))
}

interface Way {
  readonly qids: readonly Qid[]
  readonly node: Node
}

/** As far as the names lead. Throws when not even the first one is there. */
function follow(node: Node, names: readonly string[], desk: Desk, qids: Qid[] = []): Way | Promise<Way> {
  let at = node
  while (qids.length < names.length) {
    const from = at
    let next: Node | undefined | Promise<Node | undefined>
    try {
      next = element(from, names[qids.length] as string, desk)
    } catch (error) {
      return stopped(error, { qids, node: from })
    }
    if (isPromise(next)) {
      const here = { qids: [...qids], node: from }
      return next.then(
        (found) => {
          if (found === undefined) return stopped(notThere(), here)
          return follow(found, names, desk, [...qids, found.qid])
        },
        (error: unknown) => stopped(error, here),
      )
    }
    if (next === undefined) return stopped(notThere(), { qids, node: from })
    qids.push(next.qid)
    at = next
  }
  return { qids, node: at }
}

/** Only the first name's error is told. */
function stopped(error: unknown, way: Way): Way {
  if (way.qids.length === 0 || !(error instanceof NinepError)) throw error
  return way
}

function element(node: Node, name: string, desk: Desk): Node | undefined | Promise<Node | undefined> {
  if (!isFolder(node)) throw new NinepError("ENOTDIR")
  checkLength(name, desk.limits)
  if (name === "..") return node.parent()
  return name === "." || name === "" ? node : node.walk(name)
}

function notThere(): NinepError {
  return new NinepError("ENOENT")
}

/** Makes the fid, or gives the node to the one that waits for it or is to go there. */
function setNode(desk: Desk, number: number, node: Node): void {
  const fid = desk.fids.get(number)
  if (fid === undefined) desk.fids.add(number, node)
  else fid.node = node
}
