/** Where the page begins: with a number in its path it receives, without one it sends. */

import { el, part } from "./elements.ts"
import { ReceivePage } from "./receive-page.ts"
import { SendPage } from "./send-page.ts"
import { missingOf } from "./words.ts"

const worker = (document.currentScript as HTMLScriptElement).dataset["worker"] as string
const problem = missingOf(window)
if (problem !== undefined) {
  const card = el(
    "section",
    { class: "card trouble", id: "trouble" },
    el("h1", {}, problem.title),
    el("p", {}, problem.mend),
  )
  part("main").replaceChildren(card)
} else if (/^\/share\/\d{6}$/.test(location.pathname)) new ReceivePage(worker)
else new SendPage(worker)
