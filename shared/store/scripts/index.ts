import { commit } from './commit.ts'
import { claimUnsent, getRules, readFeed, touch } from './feed.ts'
import {
  dropMarks,
  endService,
  forgetService,
  handlerLib,
  registerService,
  reportHandled,
  syncedService,
  syncMarks,
} from './handlers.ts'
import { claimHoles, handlerState, scanHandled, settleHoles } from './holes.ts'
import { beginFamily, endFamily, keepForFamilies, readFamily, refreshFamily } from './families.ts'
import { prelude } from './prelude.ts'
import { dueChanges, listSchedules } from './schedules.ts'
import { drain, due, findToken, register } from './tokens.ts'
import { ack, forget, join, listInstances } from './instances.ts'
import { replaceRing } from './rings.ts'
import { openSession, readSession, sessionLib } from './sessions.ts'
import {
  admitShape,
  cutAudit,
  pruneRules,
  replaceTtl,
  seedTtl,
  trimAudit,
  trimFeed,
} from './upkeep.ts'

export type ScriptName =
  | 'commit'
  | 'register'
  | 'findToken'
  | 'due'
  | 'drain'
  | 'readFeed'
  | 'touch'
  | 'getRules'
  | 'claimUnsent'
  | 'pruneRules'
  | 'trimFeed'
  | 'trimAudit'
  | 'cutAudit'
  | 'admitShape'
  | 'seedTtl'
  | 'replaceTtl'
  | 'join'
  | 'ack'
  | 'listInstances'
  | 'forget'
  | 'dueChanges'
  | 'listSchedules'
  | 'registerService'
  | 'syncedService'
  | 'endService'
  | 'forgetService'
  | 'dropMarks'
  | 'syncMarks'
  | 'reportHandled'
  | 'handlerState'
  | 'scanHandled'
  | 'claimHoles'
  | 'settleHoles'
  | 'openSession'
  | 'readSession'
  | 'replaceRing'
  | 'beginFamily'
  | 'readFamily'
  | 'refreshFamily'
  | 'endFamily'
  | 'keepForFamilies'

const bodies: Readonly<Record<ScriptName, string>> = {
  commit,
  register,
  findToken,
  due,
  drain,
  readFeed,
  touch,
  getRules,
  claimUnsent,
  pruneRules,
  trimFeed,
  trimAudit,
  cutAudit,
  admitShape,
  seedTtl,
  replaceTtl,
  join,
  ack,
  listInstances,
  forget,
  dueChanges,
  listSchedules,
  registerService,
  syncedService,
  endService,
  forgetService,
  dropMarks,
  syncMarks: handlerLib + syncMarks,
  reportHandled: handlerLib + reportHandled,
  handlerState: handlerLib + handlerState,
  scanHandled: handlerLib + scanHandled,
  claimHoles: handlerLib + claimHoles,
  settleHoles: handlerLib + settleHoles,
  openSession: sessionLib + openSession,
  readSession: sessionLib + readSession,
  replaceRing,
  beginFamily,
  readFamily,
  refreshFamily,
  endFamily,
  keepForFamilies,
}

/** The name under which a script is defined on the client: some of the short ones are Redis commands. */
export function commandName(name: ScriptName): string {
  return `knell:${name}`
}

export const scripts: ReadonlyMap<string, string> = new Map(
  Object.entries(bodies).map(([name, body]) => [commandName(name as ScriptName), prelude + body]),
)
