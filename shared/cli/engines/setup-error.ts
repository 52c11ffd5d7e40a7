/** Something about the machine, not about the program: its message is for the user, and needs no stack. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}
