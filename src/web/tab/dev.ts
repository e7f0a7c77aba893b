/** What pages load beside the page agent while a developer works on the application: news of its builds. */

import { showBuildTrouble } from "./build-trouble.ts"
import { lookEvent } from "./runtime-files.ts"

const events = document.currentScript?.dataset["events"]
if (events !== undefined) {
  new EventSource(events).onmessage = ({ data }: MessageEvent<string>) => {
    showBuildTrouble((JSON.parse(data) as { readonly trouble?: readonly string[] }).trouble ?? [])
    document.dispatchEvent(new Event(lookEvent))
  }
}
