import type { Child } from './dom.ts'
import type { Session } from './session.ts'
import type { Stream } from './stream.ts'

/** What a screen works with. */
export interface Context {
  readonly session: Session
  readonly stream: Stream
  /** Whose state is shown. */
  readonly tenant: string
  /** What stands after the screen's name in the address, such as `sub=alice`. */
  readonly query: URLSearchParams
}

export interface Screen {
  /** Its name in the address, after `#/`. */
  readonly path: string
  readonly title: string
  readonly icon: string
  /** Buttons beside the heading. */
  readonly actions?: (context: Context) => readonly Child[]
  /** Shows itself; returns what ends it. */
  mount(root: HTMLElement, context: Context): () => void
}
