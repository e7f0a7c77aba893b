/** What pages load beside the page agent while a developer works on the application: news of its builds and of its starts. */

import { showBuildTrouble } from "./build-trouble.ts"
import { stateEvent } from "./page-state.ts"
import { lookEvent } from "./runtime-files.ts"

const events = document.currentScript?.dataset["events"]
if (events !== undefined) {
  new EventSource(events).onmessage = ({ data }: MessageEvent<string>) => {
    showBuildTrouble((JSON.parse(data) as { readonly trouble?: readonly string[] }).trouble ?? [])
    document.dispatchEvent(new Event(lookEvent))
  }
  const show = () => {
    const state = window.rdv?.state
    if (state?.kind === "trouble" && state.why === "server") showBuildTrouble([state.trouble.text])
  }
  document.addEventListener(stateEvent, show)
  show()
}
