/** All commands and tests by name; control structures of RFC 5228 3. that need more than a call are in checker.ts. */
import * as control from "./actions/control.ts";
import * as delivery from "./actions/delivery.ts";
import { addheader, deleteheader } from "./actions/edit_header.ts";
import * as reply from "./actions/reply.ts";
import * as values from "./actions/values.ts";
import type { CommandSpec, TestSpec } from "./grammar.ts";
import { body } from "./tests/body.ts";
import { currentdate, date } from "./tests/date.ts";
import { address, envelope, exists, header, size } from "./tests/header.ts";
import * as logic from "./tests/logic.ts";
import { hasflag, string } from "./tests/variables.ts";
import * as world from "./tests/world.ts";

export const COMMANDS: ReadonlyMap<string, CommandSpec> = new Map(Object.entries({
  addflag: values.addflag,
  addheader,
  break: control.breaks,
  deleteheader,
  discard: delivery.discard,
  ereject: delivery.ereject,
  error: control.error,
  extracttext: values.extracttext,
  fileinto: delivery.fileinto,
  foreverypart: control.foreverypart,
  global: control.global,
  include: control.include,
  keep: delivery.keep,
  notify: reply.notify,
  redirect: delivery.redirect,
  reject: delivery.reject,
  removeflag: values.removeflag,
  return: control.returns,
  set: values.set,
  setflag: values.setflag,
  stop: control.stop,
  vacation: reply.vacation,
}));

export const TESTS: ReadonlyMap<string, TestSpec> = new Map(Object.entries({
  address,
  allof: logic.allof,
  anyof: logic.anyof,
  body,
  currentdate,
  date,
  duplicate: world.duplicate,
  envelope,
  environment: world.environment,
  exists,
  false: logic.alwaysFalse,
  hasflag,
  header,
  ihave: logic.ihave,
  mailboxexists: world.mailboxexists,
  mailboxidexists: world.mailboxidexists,
  metadata: world.metadata,
  metadataexists: world.metadataexists,
  not: logic.not,
  notify_method_capability: world.notifyMethodCapability,
  servermetadata: world.servermetadata,
  servermetadataexists: world.servermetadataexists,
  size,
  spamtest: world.spamtest,
  specialuse_exists: world.specialuseExists,
  string,
  true: logic.alwaysTrue,
  valid_ext_list: world.validExtList,
  valid_notify_method: world.validNotifyMethod,
  virustest: world.virustest,
}));
