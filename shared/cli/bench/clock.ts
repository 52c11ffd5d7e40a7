/**
 * ms on a clock that all processes of this machine share and that nobody sets: `timeOrigin` is read
 * off the wall clock when a process starts, so two processes would differ by what it was set meanwhile.
 */
export function clockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
