import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Deaths } from '../../../shared/cli/soak/deaths.ts'
import type { Part } from '../../../shared/cli/soak/part.ts'

function partOf(name: string, pid: number | undefined): Part {
  return { name, pid, lastWords: 'Oh no.' } as Part
}

describe('the look for processes that end by themselves', () => {
  it('finds one that has ended though nobody killed it, once, and none that runs or was killed', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    const pid = child.pid ?? 0
    await once(child, 'close')
    const deaths = new Deaths([
      partOf('notifier-1', pid),
      partOf('notifier-2', undefined),
      partOf('poller-1', process.pid),
    ])
    deaths.look()
    deaths.look()
    expect(deaths.found).to.deep.equal(['notifier-1 ended by itself. Oh no.'])
  })
})
