/** The commands in the order of the overview. One entry is all that a new command needs here. */

import { balanceCommand } from "../capabilities/balance/command.ts"
import { balanceCheckCommand } from "../capabilities/balance/check-command.ts"
import { balanceConvertCommand } from "../capabilities/balance/convert-command.ts"
import { reloadCommand } from "../capabilities/balance/reload-command.ts"
import { targetCommand } from "../capabilities/balance/target-command.ts"
import { chanProxyCommand } from "../capabilities/channels/proxy-command.ts"
import {
  chanCloseCommand,
  chanListCommand,
  chanNewCommand,
  chanPeekCommand,
  chanRemoveCommand,
  chanSetCommand,
  chanStatCommand,
} from "../capabilities/channels/entries-command.ts"
import { chanReceiveCommand } from "../capabilities/channels/receive-command.ts"
import { chanSelectCommand } from "../capabilities/channels/select-command.ts"
import { chanSendCommand } from "../capabilities/channels/send-command.ts"
import { chanServeCommand } from "../capabilities/channels/serve-command.ts"
import { chanTopCommand } from "../capabilities/channels/top-command.ts"
import { compareCommand, loadCommand } from "../capabilities/load/command.ts"
import { serveCommand } from "../capabilities/load/serve-command.ts"
import { getCommand } from "../capabilities/share/get-command.ts"
import { shareCommand } from "../capabilities/share/share-command.ts"
import { swarmCommand } from "../capabilities/share/swarm-command.ts"
import { shareStatusCommand } from "../capabilities/share/share-status-command.ts"
import { tabBuildCommand } from "../capabilities/tab/build-command.ts"
import { tabDevCommand } from "../capabilities/tab/dev-command.ts"
import { tabListCommand } from "../capabilities/tab/list-command.ts"
import { tabPublishCommand, tabUnpublishCommand } from "../capabilities/tab/publish-command.ts"
import { tabRunCommand } from "../capabilities/tab/run-command.ts"
import { httpCommand, tcpCommand } from "../capabilities/tunnel/command.ts"
import type { Command } from "./command.ts"
import { doctorCommand } from "./doctor-command.ts"
import { nameList, nameMove, nameRelease } from "./name-command.ts"
import { relayCommand } from "./relay-command.ts"
import { statusCommand } from "./status-command.ts"
import { topCommand } from "./top-command.ts"
import { tokenList, tokenNew, tokenRemove } from "./token-command.ts"

export const commands: readonly Command[] = [
  httpCommand,
  tcpCommand,
  balanceCommand,
  balanceCheckCommand,
  balanceConvertCommand,
  reloadCommand,
  targetCommand,
  loadCommand,
  compareCommand,
  serveCommand,
  chanServeCommand,
  chanSendCommand,
  chanReceiveCommand,
  chanSelectCommand,
  chanListCommand,
  chanNewCommand,
  chanRemoveCommand,
  chanSetCommand,
  chanCloseCommand,
  chanStatCommand,
  chanPeekCommand,
  chanTopCommand,
  chanProxyCommand,
  shareCommand,
  getCommand,
  shareStatusCommand,
  swarmCommand,
  tabBuildCommand,
  tabDevCommand,
  tabRunCommand,
  tabPublishCommand,
  tabUnpublishCommand,
  tabListCommand,
  relayCommand,
  tokenNew,
  tokenList,
  tokenRemove,
  nameList,
  nameRelease,
  nameMove,
  statusCommand,
  topCommand,
  doctorCommand,
]
