/**
 * Lets what scrolls sideways fade out at an edge behind which there is more, since a narrow screen
 * shows no scroll bar.
 */
export function fadeEdge(element: HTMLElement, content: HTMLElement): void {
  const look = (): void => {
    const { scrollLeft, clientWidth, scrollWidth } = element
    element.classList.toggle('has-more-after', scrollLeft + clientWidth < scrollWidth - 1)
    element.classList.toggle('has-more-before', scrollLeft > 1)
  }
  element.addEventListener('scroll', look, { passive: true })
  const resized = new ResizeObserver(look)
  resized.observe(element)
  resized.observe(content)
}
