import { commit } from './commit.ts'
import { claimUnsent, getRules, readFeed, snapshotPage, touch } from './feed.ts'
import { prelude } from './prelude.ts'
import { dueChanges, listSchedules } from './schedules.ts'
import { drain, due, register } from './tokens.ts'
import { ack, forget, join, listInstances } from './instances.ts'
import { admitShape, pruneRules, replaceTtl, seedTtl, trimFeed } from './upkeep.ts'

export type ScriptName =
  | 'commit'
  | 'register'
  | 'due'
  | 'drain'
  | 'readFeed'
  | 'touch'
  | 'snapshotPage'
  | 'getRules'
  | 'claimUnsent'
  | 'pruneRules'
  | 'trimFeed'
  | 'admitShape'
  | 'seedTtl'
  | 'replaceTtl'
  | 'join'
  | 'ack'
  | 'listInstances'
  | 'forget'
  | 'dueChanges'
  | 'listSchedules'

const bodies: Readonly<Record<ScriptName, string>> = {
  commit,
  register,
  due,
  drain,
  readFeed,
  touch,
  snapshotPage,
  getRules,
  claimUnsent,
  pruneRules,
  trimFeed,
  admitShape,
  seedTtl,
  replaceTtl,
  join,
  ack,
  listInstances,
  forget,
  dueChanges,
  listSchedules,
}

/** The name under which a script is defined on the client: some of the short ones are Redis commands. */
export function commandName(name: ScriptName): string {
  return `knell:${name}`
}

export const scripts: ReadonlyMap<string, string> = new Map(
  Object.entries(bodies).map(([name, body]) => [commandName(name as ScriptName), prelude + body]),
)
