const BLOCK_BITS = 12
const BLOCK_ROWS = 1 << BLOCK_BITS

/** Rows of 32-bit words outside the JavaScript heap, in blocks, so that growing copies nothing. */
export class WordRows {
  readonly #width: number
  #blocks: Int32Array[] = []

  constructor(width: number) {
    this.#width = width
  }

  get bytes(): number {
    return this.#blocks.length * BLOCK_ROWS * this.#width * Int32Array.BYTES_PER_ELEMENT
  }

  /** Makes room for the rows below `count`. New ones are zero. */
  reserve(count: number): void {
    while (this.#blocks.length * BLOCK_ROWS < count) {
      this.#blocks.push(new Int32Array(BLOCK_ROWS * this.#width))
    }
  }

  get(row: number, word: number): number {
    const block = this.#blocks[row >>> BLOCK_BITS] as Int32Array
    return block[(row & (BLOCK_ROWS - 1)) * this.#width + word] as number
  }

  set(row: number, word: number, value: number): void {
    const block = this.#blocks[row >>> BLOCK_BITS] as Int32Array
    block[(row & (BLOCK_ROWS - 1)) * this.#width + word] = value
  }

  clear(): void {
    this.#blocks = []
  }
}
