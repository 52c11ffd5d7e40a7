const NEEDED = [20, 19]

/**
 * What is wrong with this version of Node, or undefined if nothing is.
 * @param {string} version
 * @returns {string | undefined}
 */
export function checkNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [neededMajor, neededMinor] = NEEDED
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return undefined
  return (
    `Knell needs Node ${NEEDED.join('.')} or newer; this is Node ${version} (${process.execPath}).\n` +
    'Get a newer one from https://nodejs.org or with your version manager (for example "nvm install 20").'
  )
}
