import { setImmediate as endOfTurn } from 'node:timers/promises'

/**
 * Resolves so many turns of the event loop later. After one turn all is looked at that was read in this
 * one; after two amqplib has written what was published in this one, which it does at the end of a turn.
 */
export async function turnsLater(turns: 1 | 2 | 3): Promise<void> {
  for (let i = 0; i < turns; i++) await endOfTurn()
}
