/** Heads first. Prettier would set the columns again with each figure, and so is kept away. */
export function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const rule = rowOf(head.map((_, i) => (i === 0 ? '---' : '---:')))
  return ['<!-- prettier-ignore -->', rowOf(head), rule, ...rows.map(rowOf)].join('\n')
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
