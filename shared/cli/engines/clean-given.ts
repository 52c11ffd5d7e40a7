import { cleanGiven, type GivenEngines } from './given.ts'

/** The reaper runs this in place of a process that was killed before it could clean the servers it was given. */
await cleanGiven(JSON.parse(process.env.GIVEN ?? '') as GivenEngines)
