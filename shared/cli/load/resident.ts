import { readFile } from 'node:fs/promises'

/** The bytes of memory that a process takes, from /proc; 0 where there is none. */
export async function residentOf(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
  } catch {
    return 0
  }
}
