/** A token of that life, killed at any moment of it, has half of it left, and at worst all of it; ms. */
export const SHORT_LIFE_MS = 300_000
