/** Where the worker begins: one job at a time, and what the page wants of it. */

import { asRdvError } from "../../base/error.ts"
import type { News, Order } from "./messages.ts"
import { Receiving } from "./receiving.ts"
import { Sending } from "./sending.ts"
import { receiveProblem } from "./words.ts"

let job: Receiving | Sending | undefined
/** The job before has let go of its session and storage. */
let before: Promise<void> = Promise.resolve()

function tell(news: News): void {
  self.postMessage(news)
}

function begin(make: () => Receiving | Sending): void {
  const last = job
  job = undefined
  if (last !== undefined) before = last.leave(false).catch(() => undefined)
  void before.then(() => (job = make()))
}

async function obey(order: Order): Promise<void> {
  switch (order.do) {
    case "receive":
      begin(() => new Receiving(order, tell))
      break
    case "send":
      begin(() => new Sending(order, tell))
      break
    case "accept":
      if (job instanceof Receiving) job.accept(order.into)
      break
    case "pack":
      if (job instanceof Receiving) await job.pack()
      break
    case "save":
      if (job instanceof Receiving) await job.save(order.into)
      break
    case "refresh":
      job?.refresh()
      break
    case "leave":
      await job?.leave(order.discard)
      tell({ do: "left" })
  }
}

self.addEventListener("message", ({ data }) => {
  obey(data as Order).catch((error: unknown) => {
    const problem = receiveProblem(asRdvError(error), false)
    tell({ do: "unsaved", problem: { title: problem.title, mend: problem.mend } })
  })
})
setInterval(() => job?.tick(), 250)
